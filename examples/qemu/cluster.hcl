# A small cluster of virtual machines on this very host, without a hypervisor and
# without rights: QEMU processes in a private network, which slipway makes and
# enters. Clients on this host reach it at the address that `up` prints. To try it
# without an installer: slipway rehearse --machines qemu -f examples/qemu/cluster.hcl

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
    endpoint = "http://198.51.100.9:8090"
  }

  services {
    address = "192.0.2.210" # DNS and load balancer, inside
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
