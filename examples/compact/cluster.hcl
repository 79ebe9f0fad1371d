# Three machines that are control plane and workers at once: the smallest
# cluster that survives the loss of a machine. Without workers the control plane
# is schedulable, and ingress (ports 80 and 443) is balanced to it.

provider "proxmox" "home" { endpoint = "https://pve.lan:8006" } # token: SLIPWAY_PROXMOX_TOKEN

network "lan" {
  cidr    = "192.0.2.0/24"
  gateway = "192.0.2.1"
}

cluster "compact" {
  domain  = "lab.test"
  release = "okd-4.20"

  installer "assisted" { endpoint = "http://192.0.2.9:8090" }
  services { address = "192.0.2.210" } # DNS and load balancer, on this host

  machines "control" {
    count     = 3
    cpus      = 12 # workloads run here, too
    memory    = "32GiB"
    disk      = "500GiB"
    addresses = "192.0.2.201-203"
  }
}
