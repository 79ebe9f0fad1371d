# Single node: one machine that is control plane and worker. Nothing survives
# its loss. Replace what is marked with "yours".

secret "pve" {
  env = "SLIPWAY_PROXMOX_TOKEN" # USER@REALM!NAME=UUID
}

provider "proxmox" "home" {
  endpoint = "https://pve.lan:8006" # yours
  token    = secret.pve
}

network "lan" {
  cidr    = "192.0.2.0/24" # yours
  gateway = "192.0.2.1"    # yours: the router's address
}

cluster "mycluster" {
  domain  = "lab.example.net" # yours; not .local
  release = "okd-4.20"
  # ttl = "8h" # for a cluster that is thrown away

  installer "assisted" {
    endpoint = "http://192.0.2.9:8090" # yours
  }

  # An address of this host: DNS and load balancer listen there.
  services { address = "192.0.2.210" } # yours

  machines "control" {
    count     = 1
    cpus      = 8       # the least
    memory    = "16GiB" # the least
    disk      = "250GiB"
    addresses = "192.0.2.201" # yours
  }
}
