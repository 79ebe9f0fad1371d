# Highly available: three control plane nodes and two workers, with static
# addresses. Replace what is marked with "yours", then:
#
#   slipway validate    is it right?
#   slipway rehearse    does it work? (simulated; touches nothing)
#   slipway plan        what would be made?
#   slipway up          make it

variable "release" {
  description = "what to install: okd-X.Y, or ocp-X.Y with a pull secret"
  default     = "okd-4.20"
}

# Secrets are read when they are needed, and never printed. file = "path" and
# exec = ["command", "argument"] work as well.
secret "pve" {
  env = "SLIPWAY_PROXMOX_TOKEN" # USER@REALM!NAME=UUID
}

# OpenShift needs this (https://console.redhat.com/openshift/downloads), OKD not:
# secret "pull" { file = "~/.pull-secret.json" }

provider "proxmox" "home" {
  endpoint = "https://pve.lan:8006" # yours
  token    = secret.pve
  # fingerprint = "..."             # of its certificate; slipway prints it
  # storage     = { disk = "local-lvm", iso = "local" }
}

network "lan" {
  cidr    = "192.0.2.0/24" # yours
  gateway = "192.0.2.1"    # yours: the router's address
  # bridge   = "vmbr0"
  # vlan     = 20
  # upstream = ["192.0.2.1"] # DNS servers for all other names
}

cluster "mycluster" {
  domain  = "lab.example.net" # yours; not .local
  release = var.release
  # pull_secret = secret.pull
  # ttl         = "8h" # for a cluster that is thrown away
  # protect     = true # for one that must not be

  installer "assisted" {
    endpoint = "http://192.0.2.9:8090" # yours
  }

  # An address of this host: DNS and load balancer listen there.
  services { address = "192.0.2.210" } # yours

  machines "control" {
    count     = 3
    cpus      = 8
    memory    = "16GiB"
    disk      = "250GiB"
    addresses = "192.0.2.201-203" # yours, outside of the router's DHCP range
  }

  machines "worker" {
    count     = 2
    cpus      = 8
    memory    = "16GiB"
    disk      = "250GiB"
    addresses = "192.0.2.204-205" # yours
  }

  check "console" {
    get = "https://console-openshift-console.apps.${self.fqdn}"
  }
}
