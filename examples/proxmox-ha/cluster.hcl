# Three control plane nodes and two workers on Proxmox VE. Replace the
# addresses by your own, then: slipway rehearse, slipway plan, slipway up.

locals {
  lan = "192.0.2.0/24"
}

# An API token, written USER@REALM!NAME=SECRET. It is read when it is needed,
# and never printed; file = "path" and exec = ["command"] work as well.
secret "pve" {
  env = "SLIPWAY_PROXMOX_TOKEN"
}

provider "proxmox" "home" {
  endpoint = "https://pve.lan:8006"
  token    = secret.pve
}

network "lan" {
  bridge  = "vmbr0"
  cidr    = local.lan
  gateway = cidrhost(local.lan, 1)
}

cluster "mycluster" {
  domain  = "lab.test" # the cluster's names end in mycluster.lab.test
  release = "okd-4.20"

  installer "assisted" {
    endpoint = "http://192.0.2.9:8090"
  }

  services {
    address = cidrhost(local.lan, 210) # DNS and load balancer, on this host
  }

  machines "control" {
    count     = 3
    cpus      = 8
    memory    = "16GiB"
    disk      = "250GiB"
    addresses = "192.0.2.201-203"
  }

  machines "worker" {
    count     = 2
    cpus      = 8
    memory    = "16GiB"
    disk      = "250GiB"
    addresses = "192.0.2.204-205"
  }
}
