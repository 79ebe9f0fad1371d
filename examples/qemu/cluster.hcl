# A small cluster of virtual machines on this very host, without a hypervisor:
# QEMU processes on a bridge. As root, for the bridge and its taps:
#
#   ip link add br0 type bridge
#   ip address add 192.0.2.1/24 dev br0
#   ip address add 192.0.2.210/24 dev br0
#   ip link set br0 up

provider "qemu" "here" {
  dir = "machines" # disks and images, beside this file
}

network "lan" {
  bridge  = "br0"
  cidr    = "192.0.2.0/24"
  gateway = "192.0.2.1"
}

cluster "mycluster" {
  domain  = "lab.test"
  release = "okd-4.20"

  installer "assisted" {
    endpoint = "http://192.0.2.1:8090"
  }

  services {
    address = "192.0.2.210" # DNS and load balancer, on this host
  }

  machines "control" {
    count     = 3
    cpus      = 4
    memory    = "16GiB"
    disk      = "120GiB"
    addresses = "192.0.2.201-203"
  }

  machines "worker" {
    count     = 2
    addresses = "192.0.2.204-205"
  }
}
