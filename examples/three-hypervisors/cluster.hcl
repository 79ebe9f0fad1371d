# Five control plane nodes and three workers on the three hypervisors of one
# Proxmox VE cluster: the loss of any hypervisor leaves three of five in quorum.

secret "pve" { env = "SLIPWAY_PROXMOX_TOKEN" }

provider "proxmox" "rack" {
  endpoint = "https://pve1.lan:8006"
  token    = secret.pve
  nodes    = ["pve1", "pve2", "pve3"]
  storage  = { disk = "local-lvm", iso = "local" }
}

network "lan" {
  cidr    = "192.0.2.0/24"
  gateway = "192.0.2.1"
}

cluster "spread" {
  domain  = "lab.test"
  release = "okd-4.20"

  installer "assisted" { endpoint = "http://192.0.2.9:8090" }
  services { address = "192.0.2.210" }

  machines "control" {
    count     = 5
    spread    = "node" # the default: as evenly over the hypervisors as can be
    addresses = "192.0.2.201-205"
  }

  machines "worker" {
    count     = 3
    spread    = "none" # wherever there is most room
    addresses = "192.0.2.206-208"
  }
}
