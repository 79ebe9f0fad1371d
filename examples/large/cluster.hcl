# Three control plane nodes and ten workers, of two sizes, on four hypervisors.

provider "proxmox" "rack" {
  endpoint   = "https://pve.lan:8006" # any node of the Proxmox VE cluster
  nodes      = ["pve1", "pve2", "pve3", "pve4"]
  pool       = "openshift"   # the token needs rights in this pool only
  vmid_range = "21000-21099" # and makes no other VMIDs
}

network "machines" {
  bridge  = "vmbr1"
  vlan    = 40
  cidr    = "198.51.100.0/24"
  gateway = "198.51.100.1"
}

cluster "prod" {
  domain  = "lab.test"
  release = "okd-4.20"

  installer "assisted" { endpoint = "http://198.51.100.9:8090" }
  services { address = "198.51.100.10" }

  machines "control" {
    count     = 3
    cpus      = 8
    memory    = "32GiB"
    addresses = "198.51.100.11-13"
  }

  machines "worker" {
    count     = 7
    cpus      = 16
    memory    = "64GiB"
    disk      = "500GiB"
    addresses = "198.51.100.21-27"
  }

  machines "storage" { # a worker as well: only the label "control" is another role
    count     = 3
    cpus      = 16
    memory    = "96GiB"
    disk      = "2TiB"
    addresses = "198.51.100.31-33"
    labels    = { "example.net/storage" = "true" }
  }
}
