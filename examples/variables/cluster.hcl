# One spec for several clusters of a team:
#
#   slipway up --var name=ci-7 --var first=60 --var ttl=8h
#
# A value comes from --var, a file for --var-file, SLIPWAY_VAR_<name>, or is the
# default.

variable "name" {
  default = "dev"
}

variable "first" {
  description = "last octet of the services address; the nodes' follow"
  type        = number
  default     = 100

  validation {
    condition     = var.first >= 20 && var.first <= 200
    error_message = "Addresses for clusters are those from 192.0.2.20 to 192.0.2.219."
  }
}

variable "ttl" {
  default = "7d"
}

variable "workers" {
  description = "by name, with what is special about each"
  type = map(object({
    offset = number
    memory = optional(string, "16GiB")
    rack   = optional(string, "a")
  }))
  default = {
    web   = { offset = 5 }
    build = { offset = 6, memory = "64GiB", rack = "b" }
  }
}

locals {
  lan     = "192.0.2.0/24"
  control = [for i in range(3) : cidrhost(local.lan, var.first + 1 + i)]
}

secret "pve" {
  env = ["CI_PROXMOX_TOKEN", "SLIPWAY_PROXMOX_TOKEN"] # the first that is set
}

provider "proxmox" "home" {
  endpoint = "https://pve.lan:8006"
  token    = secret.pve
}

network "lan" {
  cidr    = local.lan
  gateway = cidrhost(local.lan, 1)
}

cluster "team" {
  domain  = "${var.name}.lab.test"
  release = "okd-4.20"
  ttl     = var.ttl # how long it is meant to live

  installer "assisted" { endpoint = "http://192.0.2.9:8090" }
  services { address = cidrhost(local.lan, var.first) }

  machines "control" { addresses = local.control }

  machines "worker" { # worker-build and worker-web
    for_each  = var.workers
    memory    = each.value.memory
    addresses = cidrhost(local.lan, var.first + each.value.offset)
    labels    = { "example.net/rack" = each.value.rack }
  }

  # What else must hold before `up` says that the cluster is done.
  check "console" {
    get    = "https://console-openshift-console.apps.${self.fqdn}"
    status = 200
    within = "10m"
  }
}
