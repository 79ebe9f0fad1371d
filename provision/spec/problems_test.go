package spec

type edit struct{ old, new string }

// problems are facts about what a spec may not say, each with all that is
// said about it, and nothing else.
var problems = []struct {
	name  string
	edits []edit
	want  []string
}{
	{"block type with a typo", []edit{{`network "lan"`, `netwrok "lan"`}}, []string{
		`2,1-8: Unsupported block type: Blocks of type "netwrok" are not expected here. Did you mean "network"?`,
	}},
	{"block that is not supported", []edit{{`secret "pull" { file = "pull.json" }`, `secret "pull" { file = "pull.json" }` + "\n" + `resource "x" { default = 1 }`}}, []string{
		`7,1-9: Unsupported block type: Blocks of type "resource" are not expected here. A spec has variable, locals, secret, provider, network and cluster blocks.`,
	}},
	{"attribute with a typo", []edit{{`release  `, `relase   `}}, []string{
		`9,3-9: Unsupported argument: An argument named "relase" is not expected here. Did you mean "release"?`,
	}},
	{"function with a typo", []edit{{`"192.0.2.210"`, `cidrhots("192.0.2.0/24", 210)`}}, []string{
		`12,24-32: Call to unknown function: There is no function named "cidrhots". Did you mean "cidrhost"?`,
	}},
	{"reference with a typo", []edit{{`= secret.pull`, `= secret.pul`}}, []string{
		`10,17-27: Unknown reference: There is no secret named "pul". Did you mean "pull"?`,
	}},
	{"reference in a body that others decode", []edit{{`"http://192.0.2.9:8090"`, `local.endpoint`}}, []string{
		`11,37-51: Unknown reference: There is no local named "endpoint". None is declared.`,
	}},
	{"reference to something else", []edit{{`"lab.test"`, `data.domain`}}, []string{
		`8,17-28: Unknown reference: There is no "data". Expressions refer to var.NAME, local.NAME and secret.NAME.`,
	}},
	{"reference without a name", []edit{{`"lab.test"`, `local`}}, []string{
		`8,17-22: Incomplete reference: Write which one: local.NAME. None is declared.`,
	}},
	{"provider type with a typo", []edit{{`"proxmox"`, `"proxmx"`}}, []string{
		`1,10-18: Unknown provider: There is no provider of type "proxmx". Did you mean "proxmox"?`,
	}},
	{"installer type with a typo", []edit{{`"assisted"`, `"asisted"`}}, []string{
		`11,13-22: Unknown installer: There is no installer of type "asisted". Did you mean "assisted"?`,
	}},
	{"network label with a typo", []edit{{`domain  `, "network = \"lam\"\n  domain  "}}, []string{
		`8,13-18: Unknown network: There is no network named "lam". Did you mean "lan"?`,
	}},
	{"several networks and none chosen", []edit{{`secret`, "network \"dmz\" { cidr = \"198.51.100.0/24\" }\nsecret"}}, []string{
		`8,1-20: Ambiguous network: There are several: lan, dmz. Write network = "lan" in this cluster.`,
	}},
	{"no env function", []edit{{`"lab.test"`, `try(env("DOMAIN"), "lab.test")`}}, []string{
		`8,21-34: No env function: What a plan depends on is declared. Write variable "x" { env = "NAME" } and var.x, or secret "x" { env = "NAME" } and secret.x.`,
	}},
	{"circular locals", []edit{{`secret`, "locals {\n  a = local.b\n  b = local.a\n  c = local.a\n}\nsecret"}, {`"lab.test"`, `local.c`}}, []string{
		`7,3-4: Circular reference: local.a needs local.b needs local.a. Write one of them without the others.`,
	}},
	{"secret that needs itself", []edit{{`"pull.json"`, `secret.pull`}}, []string{
		`6,1-14: Circular reference: secret.pull needs secret.pull. Write one of them without the others.`,
	}},
	{"one-line block with two arguments", []edit{{`{ count = 3 }`, `{ count = 3 cpus = 8 }`}}, []string{
		`13,34-38: Invalid single-argument block definition: A single-line block definition must end with a closing brace immediately after its single argument definition. A block on one line holds one argument; write each of several on a line of its own.`,
	}},
	{"literal secret", []edit{{`secret.pull`, `"{\"auths\": {}}"`}}, []string{
		`10,17-34: Literal secret: A secret must not stand in the spec, nor be computed there. Write pull_secret = secret.pull, and declare secret "pull" { file = "~/.pull-secret.json" } (or env, or exec).`,
	}},
	{"secret in a string", []edit{{`"lab.test"`, `"${secret.pull}.test"`}}, []string{
		`8,20-31: Invalid template interpolation value: Cannot include the given value in a string template: string required, but have secret. A secret is used whole: write the reference alone.`,
	}},
	{"secret in JSON", []edit{{`"lab.test"`, `jsonencode({ a = [secret.pull] })`}}, []string{
		`8,28-29: Invalid function argument: Invalid value for "args" parameter: a secret cannot become part of a string.`,
	}},
	{"secret for a plain argument", []edit{{`"lab.test"`, `secret.pull`}}, []string{
		`8,17-28: Wrong type: "domain" must be a string, and this is a secret. Write domain = "lab.test".`,
	}},
	{"secret without a source", []edit{{`{ file = "pull.json" }`, `{}`}}, []string{
		`6,1-14: Invalid secret: A secret has exactly one source, and this has 0. Write env = "NAME", or file = "path", or exec = ["command", "argument"].`,
	}},
	{"secret with two sources", []edit{{`{ file = "pull.json" }`, "{\n  file = \"pull.json\"\n  env = \"PULL\"\n}"}}, []string{
		`6,1-14: Invalid secret: A secret has exactly one source, and this has 2. Write env = "NAME", or file = "path", or exec = ["command", "argument"].`,
	}},
	{"secret in the place of its variable's name", []edit{{`file = "pull.json"`, `env = "root@pam!x=123"`}}, []string{
		`6,23-39: Invalid variable name: env takes the name of an environment variable, not the secret. Write env = "SLIPWAY_PROXMOX_TOKEN".`,
	}},
	{"pull secret that OpenShift needs", []edit{{`pull_secret = secret.pull`, ``}, {`okd-4.20`, `ocp-4.20.3`}}, []string{
		`9,17-29: Missing pull secret: OpenShift images need a pull secret (OKD's do not). Write pull_secret = secret.pull, and declare secret "pull" { file = "~/.pull-secret.json" }.`,
	}},
	{"wrong type", []edit{{`{ count = 3 }`, `{ count = "three" }`}}, []string{
		`13,32-39: Wrong type: "count" must be a number, and this is a string. Write count = 3.`,
	}},
	{"null", []edit{{`"lab.test"`, `null`}}, []string{
		`7,1-20: Missing argument: "domain" is required. Write domain = "lab.test" in this block.`,
	}},
	{"null for one node", []edit{{`{ count = 2 }`, "{\n    for_each = { a = 8, b = null }\n    cpus     = each.value\n  }"}}, []string{
		`16,16-26: Null value: "cpus" is null. Write a value, or leave the line out.`,
	}},
	{"negative count", []edit{{`{ count = 3 }`, `{ count = -3 }`}}, []string{
		`13,32-34: Invalid number: "count" must be a whole number from 0 to 10000. Write count = 3.`,
	}},
	{"half a node", []edit{{`{ count = 3 }`, `{ count = 2.5 }`}}, []string{
		`13,32-35: Invalid number: "count" must be a whole number from 0 to 10000. Write count = 3.`,
	}},
	{"missing arguments", []edit{{`domain      = "lab.test"`, ``}, {`release     = "okd-4.20"`, ``}, {`address = "192.0.2.210"`, ``}, {`cidr    = "192.0.2.0/24"`, ``}, {`{ count = 2 }`, `{}`}}, []string{
		`2,1-14: Missing argument: "cidr" is required. Write cidr = "192.0.2.0/24" in this block.`,
		`7,1-20: Missing argument: "domain" is required. Write domain = "lab.test" in this block.`,
		`7,1-20: Missing argument: "release" is required. Write release = "okd-4.20" in this block.`,
		`12,3-11: Missing argument: "address" is required. Write address = "192.0.2.210" in this block.`,
		`14,3-20: Missing argument: "count" is required. Write count = 3 in this block.`,
	}},
	{"missing blocks in the cluster", []edit{{`installer "assisted" { endpoint = "http://192.0.2.9:8090" }`, ``}, {`services { address = "192.0.2.210" }`, ``}}, []string{
		`7,1-20: Missing installer block: Write installer "assisted" { endpoint = "http://192.0.2.9:8090" } in this cluster.`,
		`7,1-20: Missing services block: DNS and load balancer need an address. Write services { address = "192.0.2.210" } in this cluster.`,
	}},
	{"missing provider", []edit{{`provider "proxmox" "home" { endpoint = "https://pve.lan:8006" }`, ``}}, []string{
		`7,1-20: Missing provider: The spec has no provider block. Write provider "proxmox" "home" { ... }.`,
	}},
	{"missing gateway", []edit{{`gateway = "192.0.2.1"`, ``}}, []string{
		`2,1-14: Missing gateway: Nodes with static addresses need a way out. Write gateway = "192.0.2.1" (your router's address) in this block.`,
	}},
	{"gateway with a typo", []edit{{`gateway =`, `gatway  =`}}, []string{
		`4,3-9: Unsupported argument: An argument named "gatway" is not expected here. Did you mean "gateway"?`,
	}},
	{"gateway elsewhere", []edit{{`gateway = "192.0.2.1"`, `gateway = "198.51.100.1"`}}, []string{
		`4,13-27: Invalid gateway: 198.51.100.1 is not in network 192.0.2.0/24. Write the router's address in 192.0.2.0/24, such as gateway = "192.0.2.1".`,
	}},
	{"network with host bits", []edit{{`"192.0.2.0/24"`, `"192.0.2.7/24"`}}, []string{
		`3,13-27: Invalid network: "192.0.2.7/24" is an address inside of a network. Write cidr = "192.0.2.0/24".`,
	}},
	{"network of IPv6", []edit{{`"192.0.2.0/24"`, `"2001:db8::/64"`}}, []string{
		`3,13-28: Invalid network: "2001:db8::/64" is not an IPv4 network of /8 to /29. Write one such as cidr = "192.0.2.0/24".`,
	}},
	{"upper-case cluster name", []edit{{`"mycluster"`, `"My_Cluster"`}}, []string{
		`7,9-21: Invalid name: The name of a cluster becomes part of DNS names; "My_Cluster" cannot. Write at most 54 lower-case letters, digits and inner hyphens (RFC 1123), such as "my-cluster".`,
	}},
	{"upper-case machines label", []edit{{`"worker"`, `"Worker"`}}, []string{
		`14,12-20: Invalid name: The name of a machines block becomes part of DNS names; "Worker" cannot. Write at most 61 lower-case letters, digits and inner hyphens (RFC 1123), such as "worker".`,
	}},
	{"host name that is too long", []edit{{`lab.test`, `a-very-long-domain-name-of-a-department.example.net`}}, []string{
		`13,12-21: Name too long: The host name control-2.mycluster.a-very-long-domain-name-of-a-department.example.net has 71 bytes and may have 63: longer ones are cut at boot and the node joins under another name. Shorten the machines label, the cluster name or the domain.`,
		`14,12-20: Name too long: The host name worker-1.mycluster.a-very-long-domain-name-of-a-department.example.net has 70 bytes and may have 63: longer ones are cut at boot and the node joins under another name. Shorten the machines label, the cluster name or the domain.`,
	}},
	{"domain .local", []edit{{`lab.test`, `lab.local`}}, []string{
		`8,17-28: Invalid domain: "lab.local" ends in .local, which nodes look up by multicast DNS (RFC 6762) and never by ours. Write a domain of yours, such as domain = "lab.example.net".`,
	}},
	{"domain that is an address", []edit{{`lab.test`, `192.0.2.1`}}, []string{
		`8,17-28: Invalid domain: "192.0.2.1" is not a domain: it ends in a number. Write a domain of yours, such as domain = "lab.example.net".`,
	}},
	{"domain with a final dot", []edit{{`lab.test`, `lab.test.`}}, []string{
		`8,17-28: Invalid domain: "lab.test." is not a domain of lower-case letters, digits, hyphens and inner dots (RFC 1123). Write a domain of yours, such as domain = "lab.example.net".`,
	}},
	{"release without its distribution", []edit{{`okd-4.20`, `4.20`}}, []string{
		`9,17-23: Invalid release: "4.20" is not a release. Write okd-X.Y or ocp-X.Y, with .Z for an exact one, such as release = "okd-4.20".`,
	}},
	{"two control plane nodes", []edit{{`{ count = 3 }`, `{ count = 2 }`}}, []string{
		`13,32-33: Invalid control plane: A control plane has 1, 3, 4 or 5 nodes, for etcd to keep a majority, and this has 2. Write machines "control" { count = 3 }.`,
	}},
	{"no control plane", []edit{{`"control" { count = 3 }`, `"head" { count = 3 }`}}, []string{
		`7,1-20: Invalid control plane: A control plane has 1, 3, 4 or 5 nodes, for etcd to keep a majority, and this has 0. Write machines "control" { count = 3 }.`,
	}},
	{"six control plane nodes", []edit{{`{ count = 3 }`, `{ count = 6 }`}}, []string{
		`13,32-33: Invalid control plane: A control plane has 1, 3, 4 or 5 nodes, for etcd to keep a majority, and this has 6. Write machines "control" { count = 3 }.`,
	}},
	{"single node with workers", []edit{{`{ count = 3 }`, `{ count = 1 }`}}, []string{
		`13,32-33: Invalid control plane: One control plane node makes a single-node cluster, which has no workers; this has 2. Write count = 3, or remove the workers.`,
	}},
	{"old word for a role", []edit{{`{ count = 2 }`, "{\n    count = 2\n    role  = \"compute\"\n  }"}}, []string{
		`16,13-22: Invalid role: "compute" is not a role. Choose from: control-plane, worker.`,
	}},
	{"control plane under the minimum", []edit{{`{ count = 3 }`, "{\n    count  = 3\n    cpus   = 2\n    memory = 16\n    disk   = \"93GiB\"\n  }"}}, []string{
		`15,14-15: Not enough cpus: A control plane node needs at least 4 vCPU, and this has 2 vCPU. Write cpus = 4 or more.`,
		`16,14-16: Not enough memory: A control plane node needs at least 16384 MiB, and this has 16 MiB. Write memory = 16384 or more.`,
		`17,14-21: Not enough disk: A control plane node needs at least 94 GiB, and this has 93 GiB. Write disk = 94 or more.`,
	}},
	{"worker under the minimum", []edit{{`{ count = 2 }`, "{\n    count  = 2\n    cpus   = 1\n    memory = \"4GiB\"\n    disk   = 20\n  }"}}, []string{
		`16,14-15: Not enough cpus: A worker needs at least 2 vCPU, and this has 1 vCPU. Write cpus = 2 or more.`,
		`17,14-20: Not enough memory: A worker needs at least 8192 MiB, and this has 4096 MiB. Write memory = 8192 or more.`,
		`18,14-16: Not enough disk: A worker needs at least 94 GiB, and this has 20 GiB. Write disk = 94 or more.`,
	}},
	{"single node under the minimum", []edit{{`{ count = 3 }`, "{\n    count = 1\n    cpus  = 4\n  }"}, {`machines "worker" { count = 2 }`, ``}}, []string{
		`15,13-14: Not enough cpus: A single-node cluster needs at least 8 vCPU, and this has 4 vCPU. Write cpus = 8 or more.`,
	}},
	{"size in decimal units", []edit{{`{ count = 3 }`, "{\n    count  = 3\n    memory = \"16GB\"\n  }"}}, []string{
		`15,14-20: Invalid size: "16GB" is not a size in whole MiB. Write a number of MiB, or MiB, GiB or TiB behind it, such as memory = "16GiB".`,
	}},
	{"bad and doubled MACs", []edit{{`{ count = 3 }`, "{\n    count = 3\n    macs  = [\"52:54:zz\", \"52:54:00:ab:cd:01\", \"52-54-00-AB-CD-01\"]\n  }"}}, []string{
		`15,14-24: Invalid MAC address: Node "control-0": "52:54:zz" is not a MAC address. Write six hex bytes, such as 52:54:00:ab:cd:01.`,
		`15,47-66: Duplicate MAC address: 52:54:00:ab:cd:01 is to be the MAC address of node "control-2", and is that of node "control-1" already, at cluster.hcl:15,26-45. Write another one.`,
	}},
	{"group MAC", []edit{{`{ count = 3 }`, "{\n    count = 3\n    macs  = [\"53:54:00:ab:cd:01\", \"52:54:00:ab:cd:01\", \"52:54:00:ab:cd:02\"]\n  }"}}, []string{
		`15,14-33: Invalid MAC address: Node "control-0": "53:54:00:ab:cd:01" is a group address, the first byte is odd. Write one such as 52:54:00:ab:cd:01.`,
	}},
	{"fewer MACs than nodes", []edit{{`{ count = 3 }`, "{\n    count = 3\n    macs  = [\"52:54:00:ab:cd:01\"]\n  }"}}, []string{
		`15,13-34: Length mismatch: machines "control" has 3 nodes, by count at cluster.hcl:14,13-14, and this lists 1. Write one for each node.`,
	}},
	{"fewer addresses than nodes", []edit{{`{ count = 3 }`, "{\n    count     = 3\n    addresses = \"192.0.2.201-202\"\n  }"}}, []string{
		`15,17-34: Length mismatch: machines "control" has 3 nodes, by count at cluster.hcl:14,17-18, and this lists 2. Write one for each node.`,
	}},
	{"addresses no node can have", []edit{{`{ count = 3 }`, "{\n    addresses = [\"192.0.2.0\", \"192.0.2.255\", \"192.0.2.1\", \"192.0.2.210\", \"198.51.100.7\"]\n  }"}}, []string{
		`14,18-29: Invalid node address: Node "control-0": 192.0.2.0 is the address of the network itself. Write a free address in 192.0.2.0/24.`,
		`14,31-44: Invalid node address: Node "control-1": 192.0.2.255 is the broadcast address of the network. Write a free address in 192.0.2.0/24.`,
		`14,46-57: Invalid node address: Node "control-2": 192.0.2.1 is the gateway. Write a free address in 192.0.2.0/24.`,
		`14,59-72: Duplicate address: 192.0.2.210 is to be the address of node "control-3", and is that of services of cluster mycluster already, at cluster.hcl:12,24-37. Write another one.`,
		`14,74-88: Invalid node address: Node "control-4": 198.51.100.7 is not in network 192.0.2.0/24. Write a free address in 192.0.2.0/24.`,
	}},
	{"doubled address", []edit{{`{ count = 3 }`, "{ addresses = \"192.0.2.201-203\" }"}, {`{ count = 2 }`, `{ addresses = ["192.0.2.204", "192.0.2.203"] }`}}, []string{
		`14,51-64: Duplicate address: 192.0.2.203 is to be the address of node "worker-1", and is that of node "control-2" already, at cluster.hcl:13,36-53. Write another one.`,
	}},
	{"address that is none", []edit{{`{ count = 2 }`, `{ addresses = ["192.0.2.204", "192.0.2.301"] }`}}, []string{
		`14,51-64: Invalid address: "192.0.2.301" is not an IPv4 address. Write one such as "192.0.2.201-203".`,
	}},
	{"addresses backwards", []edit{{`{ count = 2 }`, `{ addresses = "192.0.2.205-204" }`}}, []string{
		`14,35-52: Invalid address range: "192.0.2.205-204" runs backwards, or has more than 10000 addresses. Write the first address and the last octet, such as "192.0.2.201-203".`,
	}},
	{"addresses by DHCP among static ones", []edit{{`{ count = 2 }`, "{\n    count     = 2\n    addresses = [\"dhcp\", \"192.0.2.204\"]\n  }"}}, []string{
		`16,18-24: Mixed addresses: The nodes of a block have all their addresses by DHCP, or none. Write addresses = "dhcp", and static ones in a block of their own.`,
	}},
	{"addresses of an unknown number of nodes", []edit{{`{ count = 2 }`, `{ addresses = "192.0.2.2${count.index}" }`}}, []string{
		`14,3-20: Missing argument: "count" is required. Write count = 3 in this block.`,
	}},
	{"more nodes than free addresses", []edit{{`192.0.2.210`, `192.0.2.250`}}, []string{
		`14,3-20: Not enough addresses: machines "worker" needs 2 addresses, and 192.0.2.0/24 has 1 free after 192.0.2.250. Write addresses = "192.0.2.201-203" in this block.`,
	}},
	{"services outside of the network", []edit{{`192.0.2.210`, `198.51.100.210`}}, []string{
		`warning: 12,24-40: Services outside of the network: 198.51.100.210 is not in network 192.0.2.0/24. Nodes reach DNS and load balancer through their gateway; see that it routes there, or write an address in 192.0.2.0/24.`,
	}},
	{"services on the gateway", []edit{{`192.0.2.210`, `192.0.2.1`}}, []string{
		`12,24-35: Invalid services address: 192.0.2.1 is the gateway. Write a free address in 192.0.2.0/24.`,
	}},
	{"services mode", []edit{{`{ address = "192.0.2.210" }`, "{\n    address = \"192.0.2.210\"\n    mode    = \"lxc\"\n  }"}}, []string{
		`14,15-20: Invalid mode: "lxc" is not one of local, ssh, vm, external. Choose from: local, ssh, vm, external.`,
	}},
	{"services machine beside a host", []edit{{`{ address = "192.0.2.210" }`, "{\n    address = \"192.0.2.210\"\n    mode    = \"vm\"\n    ssh { host = \"a\" }\n    vm { disk = 1 }\n  }"}}, []string{
		`15,5-8: Which host?: Services of mode "vm" run on a machine that slipway makes, and on no other. Remove this block, or write mode = "ssh".`,
		`16,17-18: Not enough disk: A services machine needs at least 4 GiB, and this is 1. Write disk = "20GiB".`,
	}},
	{"private key for a public one", []edit{{`services {`, "ssh { authorized_keys = [\"-----BEGIN OPENSSH PRIVATE KEY-----\"] }\n  services {"}}, []string{
		`12,28-65: Invalid SSH key: Entry 1 is not one line of an authorized_keys file. Write a public key, such as "ssh-ed25519 AAAA... me@lab".`,
	}},
	{"doubled machines block", []edit{{`"worker"`, `"control"`}}, []string{
		`14,3-21: Duplicate block: There is a machines "control" already, at cluster.hcl:13,3-21, whose nodes have the same names. Give this one another label.`,
	}},
	{"doubled cluster", []edit{{"  machines \"worker\" { count = 2 }\n}", "}\ncluster \"mycluster\" {}"}}, []string{
		`15,1-20: Duplicate block: There is a cluster "mycluster" already, at cluster.hcl:7,1-20. Give this one another name.`,
	}},
	{"two clusters at one services address", []edit{{"  machines \"worker\" { count = 2 }\n}", "}\ncluster \"other\" {\n  domain  = \"lab.test\"\n  release = \"okd-4.20\"\n  installer \"assisted\" {}\n  services { address = \"192.0.2.210\" }\n  machines \"control\" { count = 1 }\n}"}}, []string{
		`19,24-37: Duplicate address: 192.0.2.210 is to be the address of services of cluster other, and is that of services of cluster mycluster already, at cluster.hcl:12,24-37. Write another one.`,
	}},
	{"user name with a space", []edit{{`services {`, "ssh { user = \"core user\" }\n  services {"}}, []string{
		`12,16-27: Invalid user: "core user" is not the name of a user. Write user = "core".`,
	}},
	{"doubled local", []edit{{`secret "pull"`, "locals { a = 1 }\nlocals { a = 2 }\nsecret \"pull\""}}, []string{
		`7,10-11: Duplicate local: local.a is defined already, at cluster.hcl:6,10-11. Give this one another name.`,
	}},
	{"reference by index with a typo", []edit{{`"lab.test"`, `local["domian"]`}, {`secret "pull"`, "locals { domain = \"lab.test\" }\nsecret \"pull\""}}, []string{
		`9,17-32: Unknown reference: There is no local named "domian". Did you mean "domain"?`,
	}},
	{"number for a list", []edit{{`{ count = 3 }`, "{\n    count = 3\n    macs  = 5\n  }"}}, []string{
		`15,13-14: Wrong type: "macs" must be a list of strings, and this is a number. Write macs = ["52:54:00:ab:cd:01"].`,
	}},
	{"object in a list of strings", []edit{{`{ count = 2 }`, `{ addresses = ["192.0.2.204", {}] }`}}, []string{
		`14,51-53: Wrong type: "addresses" must be a list of strings, and this is an object. Write addresses = "192.0.2.201-203".`,
	}},
	{"secret from no file, no command and no variable", []edit{{`secret "pull" { file = "pull.json" }`, "secret \"pull\" { file = \"\" }\nsecret \"a\" { exec = [] }\nsecret \"b\" { env = [] }\nsecret \"c\" { exec = {} }"}}, []string{
		`6,24-26: Invalid secret: No file is named. Write file = "~/.pull-secret.json".`,
		`7,21-23: Invalid secret: No command is named. Write exec = ["command", "argument"].`,
		`8,20-22: Invalid secret: No variable is named. Write env = "SLIPWAY_PROXMOX_TOKEN".`,
		`9,21-23: Wrong type: "exec" must be a list of strings, and this is an object. Write exec = ["vault", "kv", "get", "-field=token", "pve"].`,
	}},
	{"two installers", []edit{{`services {`, "installer \"assisted\" {}\n  services {"}}, []string{
		`12,3-23: Duplicate block: A cluster has one installer, and there is one already, at cluster.hcl:11,3-23. Remove one of them.`,
	}},
	{"file outside of the directory", []edit{{`"lab.test"`, `file("../domain")`}}, []string{
		`8,17-22: Error in function call: Call to function "file" failed: statat ../domain: path escapes from parent; paths are relative to the spec and stay below its directory.`,
	}},
	{"many problems at once", []edit{{`192.0.2.1"`, `192.0.2.0"`}, {`lab.test`, `lab.local`}, {`okd-4.20`, `okd`}, {`192.0.2.210`, `192.0.2.300`}, {`{ count = 3 }`, `{ count = local.three }`}}, []string{
		`4,13-24: Invalid gateway: 192.0.2.0 is the address of the network itself. Write the router's address in 192.0.2.0/24, such as gateway = "192.0.2.1".`,
		`8,17-28: Invalid domain: "lab.local" ends in .local, which nodes look up by multicast DNS (RFC 6762) and never by ours. Write a domain of yours, such as domain = "lab.example.net".`,
		`9,17-22: Invalid release: "okd" is not a release. Write okd-X.Y or ocp-X.Y, with .Z for an exact one, such as release = "okd-4.20".`,
		`12,24-37: Invalid address: "192.0.2.300" is not an IPv4 address. Write one such as "192.0.2.210".`,
		`13,32-43: Unknown reference: There is no local named "three". None is declared.`,
	}},
}
