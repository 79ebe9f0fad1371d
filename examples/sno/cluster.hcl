# A single-node cluster: control plane, ingress and workloads on one machine.
# It bootstraps itself in place, so there is no other machine even for a while.
# DNS is needed all the same; API and ingress lead to the one node.

provider "proxmox" "home" { endpoint = "https://pve.lan:8006" } # token: SLIPWAY_PROXMOX_TOKEN

network "lan" {
  cidr    = "192.0.2.0/24"
  gateway = "192.0.2.1"
}

cluster "single" {
  domain  = "lab.test"
  release = "okd-4.20"

  installer "assisted" { endpoint = "http://192.0.2.9:8090" }
  services { address = "192.0.2.210" } # DNS and load balancer, on this host

  machines "control" {
    count     = 1
    cpus      = 8 # the least that a single node may have
    memory    = "32GiB"
    disk      = "250GiB"
    addresses = "192.0.2.201"
  }
}
