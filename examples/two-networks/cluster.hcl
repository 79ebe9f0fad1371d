# Workers in a network of their own. A router leads from one network to the
# other; services and control plane are in the first, which is the cluster's.

provider "proxmox" "home" { endpoint = "https://pve.lan:8006" } # token: SLIPWAY_PROXMOX_TOKEN

network "control" {
  bridge  = "vmbr0"
  cidr    = "192.0.2.0/24"
  gateway = "192.0.2.1"
}

network "workload" {
  bridge  = "vmbr1"
  vlan    = 20
  cidr    = "198.51.100.0/24"
  gateway = "198.51.100.1"
}

cluster "mycluster" {
  domain  = "lab.test"
  release = "okd-4.20"
  network = "control" # of the services, and of nodes whose block names none

  installer "assisted" { endpoint = "http://192.0.2.9:8090" }
  services { address = "192.0.2.210" } # nodes of both networks must reach it

  machines "control" {
    count     = 3
    addresses = "192.0.2.201-203"
  }

  machines "worker" {
    network   = "workload"
    addresses = "198.51.100.21-23"
  }
}
