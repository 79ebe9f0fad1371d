# As little as a cluster needs. The token comes from SLIPWAY_PROXMOX_TOKEN;
# each machine has 8 vCPU, 16 GiB and 250 GiB, and the first free address after
# that of the services: `slipway plan` shows them all.

provider "proxmox" "home" { endpoint = "https://pve.lan:8006" }

network "lan" {
  cidr    = "192.0.2.0/24"
  gateway = "192.0.2.1"
}

cluster "mycluster" {
  domain  = "lab.test"
  release = "okd-4.20"

  installer "assisted" { endpoint = "http://192.0.2.9:8090" }
  services { address = "192.0.2.210" } # DNS and load balancer, on this host
  machines "control" { count = 3 }
  machines "worker" { count = 2 }
}
