# Addresses from the router's DHCP server. Nothing is to be set up there:
# slipway learns the addresses from the machines as they boot, and DNS
# and load balancer follow. Nodes ask our DNS whatever the router announces.
#
# A node must keep its address. Most routers see to that; `slipway plan` lists
# the MACs, for reservations.

provider "proxmox" "home" { endpoint = "https://pve.lan:8006" } # token: SLIPWAY_PROXMOX_TOKEN

network "lan" {
  cidr    = "192.0.2.0/24"
  gateway = "192.0.2.1" # where the services forward foreign names to
}

cluster "mycluster" {
  domain  = "lab.test"
  release = "okd-4.20"

  installer "assisted" { endpoint = "http://192.0.2.9:8090" }

  services {
    address = "192.0.2.210" # static, and outside of the router's DHCP range
  }

  machines "control" {
    count     = 3
    addresses = "dhcp"
  }

  machines "infra" { # a block has static addresses or DHCP, a cluster may have both
    role      = "worker"
    addresses = "192.0.2.204"
  }

  machines "worker" {
    count     = 2
    addresses = "dhcp"
  }
}
