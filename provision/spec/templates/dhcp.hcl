# DHCP: three control plane nodes and two workers that have their addresses
# from your router. `slipway plan` prints the MAC addresses, for reservations.
# Replace what is marked with "yours".

secret "pve" {
  env = "SLIPWAY_PROXMOX_TOKEN" # USER@REALM!NAME=UUID
}

provider "proxmox" "home" {
  endpoint = "https://pve.lan:8006" # yours
  token    = secret.pve
}

network "lan" {
  cidr     = "192.0.2.0/24" # yours
  upstream = ["192.0.2.1"]  # yours: DNS servers for all other names
}

cluster "mycluster" {
  domain  = "lab.example.net" # yours; not .local
  release = "okd-4.20"

  installer "assisted" {
    endpoint = "http://192.0.2.9:8090" # yours
  }

  # A fixed address of this host, outside of the router's DHCP range: DNS and
  # load balancer listen there.
  services { address = "192.0.2.210" } # yours

  machines "control" {
    count     = 3
    addresses = "dhcp"
  }

  machines "worker" {
    count     = 2
    addresses = "dhcp"
  }
}
