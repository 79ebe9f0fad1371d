# Compact: three control plane nodes that also run your workloads. It survives
# the loss of one of them. Replace what is marked with "yours".

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

  installer "assisted" {
    endpoint = "http://192.0.2.9:8090" # yours
  }

  # An address of this host: DNS and load balancer listen there.
  services { address = "192.0.2.210" } # yours

  # Without addresses they are the first free ones after that of the services.
  machines "control" {
    count  = 3
    cpus   = 12
    memory = "32GiB"
    disk   = "250GiB"
  }
}
