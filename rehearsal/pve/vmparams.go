package pve

var (
	nodeParam = text.as(isNode)
	vmidParam = integer.as(isVMID).atLeast(100).atMost(999999999)

	nodeParams        = schema{"node": nodeParam}
	vmParams          = schema{"node": nodeParam, "vmid": vmidParam}
	vmListParams      = schema{"node": nodeParam, "full": boolean.opt()}
	permissionsParams = schema{"path": text.opt(), "userid": text.opt().like(`[^\s:/]+@[A-Za-z][A-Za-z0-9.\-_]+(?:![A-Za-z][A-Za-z0-9.\-_]+)?`)}
	haParams          = schema{"type": text.opt().of("ct", "vm")}
	resourcesParams   = schema{"type": text.opt().of("vm", "storage", "node", "sdn")}
	poolsParams       = schema{"poolid": text.opt().as(isPool), "type": text.opt().of("qemu", "lxc", "storage").needs("poolid")}
	poolParams        = schema{"poolid": text.as(isPool), "type": text.opt().of("qemu", "lxc", "storage")}
	getConfigParams   = merge(vmParams, schema{"current": boolean.opt(), "snapshot": text.opt().as(isConfigID).upTo(40)})
	resetParams       = merge(vmParams, schema{"skiplock": boolean.opt()})
	startParams       = merge(resetParams, schema{"timeout": integer.opt().atLeast(0)})
	stopParams        = merge(startParams, schema{"keepActive": boolean.opt(), "overrule-shutdown": boolean.opt()})
	shutdownParams    = merge(startParams, schema{"keepActive": boolean.opt(), "forceStop": boolean.opt()})
	destroyParams     = merge(resetParams, schema{"purge": boolean.opt(), "destroy-unreferenced-disks": boolean.opt()})
	createParams      = merge(configParams, vmParams, schema{
		"pool": text.opt().as(isPool), "start": boolean.opt(), "storage": text.opt().as(isStorage)})
	putConfigParams = merge(configParams, vmParams, schema{
		"delete": text.opt().as(listOf(isConfigID)), "revert": text.opt().as(listOf(isConfigID)),
		"digest": text.opt().upTo(40), "force": boolean.opt().needs("delete"), "skiplock": boolean.opt()})
	resizeParams = merge(vmParams, schema{"disk": text.of(driveNames...), "size": text.like(`\+?\d+(\.\d+)?[KMGT]?`),
		"digest": text.opt().upTo(40), "skiplock": boolean.opt()})
	postConfigParams = merge(putConfigParams, schema{"background_delay": integer.opt().atLeast(1).atMost(30)})
)

func merge(schemas ...schema) schema {
	all := schema{}
	for _, s := range schemas {
		for name, p := range s {
			all[name] = p
		}
	}
	return all
}

// configParams are the options of a VM that the simulator understands. A real
// server knows more (pass-through, audio); here they are refused.
var configParams = schema{
	"acpi":          boolean.opt(),
	"affinity":      text.opt(), // for root alone, as the other options without a privilege
	"agent":         text.opt().with(agentKeys),
	"args":          text.opt(), // for root alone
	"balloon":       integer.opt().atLeast(0),
	"bios":          text.opt().of("seabios", "ovmf"),
	"boot":          text.opt().with(bootKeys),
	"cdrom":         text.opt().with(driveKeys(ideKeys)),
	"cipassword":    text.opt(),
	"citype":        text.opt().of("configdrive2", "nocloud", "opennebula"),
	"ciupgrade":     boolean.opt(),
	"ciuser":        text.opt(),
	"cores":         integer.opt().atLeast(1),
	"cpu":           text.opt().with(cpuKeys),
	"cpulimit":      number.opt().atLeast(0).atMost(128),
	"cpuunits":      integer.opt().atLeast(1).atMost(262144),
	"description":   text.opt().upTo(8192),
	"efidisk0":      text.opt().with(efiKeys),
	"hookscript":    text.opt().as(isVolume),
	"hostpci[n]":    text.opt().family(16),
	"hotplug":       text.opt(),
	"hugepages":     text.opt().of("any", "2", "1024"),
	"ide[n]":        text.opt().family(4).with(driveKeys(ideKeys)),
	"ipconfig[n]":   text.opt().family(32).with(ipconfigKeys),
	"keephugepages": boolean.opt(),
	"kvm":           boolean.opt(),
	"localtime":     boolean.opt(),
	"lock": text.opt().of("backup", "clone", "create", "migrate", "rollback", "snapshot",
		"snapshot-delete", "suspending", "suspended"), // for root alone
	"machine":      text.opt().with(machineKeys),
	"memory":       text.opt().with(schema{"current": integer.byDefault().atLeast(16)}),
	"name":         text.opt().as(isDNSName),
	"nameserver":   text.opt().as(listOf(isAddress)),
	"net[n]":       text.opt().family(32).with(netKeys),
	"numa":         boolean.opt(),
	"numa[n]":      text.opt().family(8).with(numaKeys),
	"onboot":       boolean.opt(),
	"ostype":       text.opt().of("other", "wxp", "w2k", "w2k3", "w2k8", "wvista", "win7", "win8", "win10", "win11", "l24", "l26", "solaris"),
	"protection":   boolean.opt(),
	"reboot":       boolean.opt(),
	"rng0":         text.opt().with(rngKeys),
	"sata[n]":      text.opt().family(6).with(driveKeys(nil)),
	"scsi[n]":      text.opt().family(31).with(driveKeys(scsiKeys)),
	"scsihw":       text.opt().of("lsi", "lsi53c810", "virtio-scsi-pci", "virtio-scsi-single", "megasas", "pvscsi"),
	"searchdomain": text.opt(),
	"serial[n]":    text.opt().family(4).like(`(/dev/.+|socket)`),
	"smbios1":      text.opt().upTo(512).with(smbiosKeys),
	"sockets":      integer.opt().atLeast(1),
	"sshkeys":      text.opt().as(isEncoded),
	"startup":      text.opt(),
	"tablet":       boolean.opt(),
	"tpmstate0":    text.opt().with(tpmKeys),
	"tags":         text.opt().as(listOf(isTag)),
	"template":     boolean.opt(),
	"usb[n]":       text.opt().family(14).with(usbKeys),
	"vmgenid":      text.opt().like(`(?:[a-fA-F0-9]{8}(?:-[a-fA-F0-9]{4}){3}-[a-fA-F0-9]{12}|[01])`),
	"watchdog":     text.opt().with(watchdogKeys),
	"unused[n]":    text.opt().family(256).with(schema{"file": text.byDefault().as(isVolume), "volume": {alias: "file", optional: true}}),
	"vcpus":        integer.opt().atLeast(1),
	"vga":          text.opt().with(vgaKeys),
	"virtio[n]":    text.opt().family(16).with(driveKeys(schema{"iothread": boolean.opt()})),
}

var (
	agentKeys = schema{"enabled": boolean.byDefault(),
		"fstrim_cloned_disks": boolean.opt(), "type": text.opt().of("virtio", "isa")}
	bootKeys    = schema{"legacy": text.opt().byDefault().like(`[acdn]{1,4}`), "order": text.opt().as(listOf(isBootDev))}
	cpuKeys     = schema{"cputype": text.opt().byDefault().like(`[A-Za-z0-9_.-]+`), "flags": text.opt().like(cpuFlag + `(?:;` + cpuFlag + `)*`), "hidden": boolean.opt()}
	rngKeys     = schema{"source": text.byDefault().of("/dev/urandom", "/dev/random", "/dev/hwrng"), "max_bytes": integer.opt(), "period": integer.opt()}
	vgaKeys     = schema{"type": text.opt().byDefault().of("cirrus", "qxl", "qxl2", "qxl3", "qxl4", "none", "serial0", "serial1", "serial2", "serial3", "std", "virtio", "virtio-gl", "vmware"), "memory": integer.opt().atLeast(4).atMost(512)}
	machineKeys = schema{"type": text.opt().byDefault().upTo(40).like(
		`(pc|pc(-i440fx)?-\d+(\.\d+)+(\+pve\d+)?(\.pxe)?|q35|pc-q35-\d+(\.\d+)+(\+pve\d+)?(\.pxe)?|virt(?:-\d+(\.\d+)+)?(\+pve\d+)?)`),
		"viommu": text.opt().of("intel", "virtio")}
	efiKeys = schema{"file": text.byDefault().as(isVolume), "volume": {alias: "file", optional: true},
		"efitype": text.opt().of("2m", "4m"), "format": diskFormat,
		"pre-enrolled-keys": boolean.opt(), "size": text.opt().as(isDiskSize)}
	tpmKeys = schema{"file": text.byDefault().as(isVolume), "volume": {alias: "file", optional: true},
		"size": text.opt().as(isDiskSize), "version": text.opt().of("v1.2", "v2.0")}
	numaKeys = schema{"cpus": text.like(idRanges), "hostnodes": text.opt().like(idRanges), "memory": number.opt(),
		"policy": text.opt().of("preferred", "bind", "interleave")}
	usbKeys = schema{"host": text.opt().byDefault().like(`(?:0x)?[0-9A-Fa-f]{4}:(?:0x)?[0-9A-Fa-f]{4}|\d+-\d+(?:\.\d+)*|[Ss][Pp][Ii][Cc][Ee]`),
		"mapping": text.opt().as(isConfigID), "usb3": boolean.opt()}
	watchdogKeys = schema{"model": text.opt().byDefault().of("i6300esb", "ib700"),
		"action": text.opt().of("reset", "shutdown", "poweroff", "pause", "debug", "none")}
	smbiosKeys = schema{
		"uuid":   text.opt().like(`[a-fA-F0-9]{8}(?:-[a-fA-F0-9]{4}){3}-[a-fA-F0-9]{12}`),
		"base64": boolean.opt(), "version": smbiosText, "serial": smbiosText, "manufacturer": smbiosText,
		"product": smbiosText, "sku": smbiosText, "family": smbiosText}
	smbiosText = text.opt().like(`[A-Za-z0-9+/]+={0,2}`)
	diskFormat = text.opt().of("raw", "qcow", "qed", "qcow2", "vmdk", "cloop")
	scsiKeys   = schema{"iothread": boolean.opt(), "ssd": boolean.opt(), "ro": boolean.opt(), "queues": integer.opt().atLeast(2)}
	ideKeys    = schema{"ssd": boolean.opt(), "model": text.opt().as(isEncoded).upTo(120)}
)

const idRanges = `\d+(?:-\d+)?(?:;\d+(?:-\d+)?)*`

const cpuFlag = `[+-][a-zA-Z0-9\-_.]+`

// driveKeys are the keys of a disk or CD drive, with those of its bus.
func driveKeys(bus schema) schema {
	return merge(schema{
		"file": text.byDefault().as(isVolume), "volume": {alias: "file", optional: true},
		"aio": text.opt().of("native", "threads", "io_uring"), "backup": boolean.opt(),
		"cache":   text.opt().of("none", "writethrough", "writeback", "unsafe", "directsync"),
		"discard": text.opt().of("ignore", "on"), "format": diskFormat,
		"import-from": text.opt().as(isVolumeOrPath),
		"media":       text.opt().of("cdrom", "disk"), "replicate": boolean.opt(),
		"serial": text.opt().as(isEncoded).upTo(60), "shared": boolean.opt(),
		"size": text.opt().as(isDiskSize), "snapshot": boolean.opt(),
	}, bus)
}

var netModels = []string{"e1000", "e1000-82540em", "e1000-82544gc", "e1000-82545em", "e1000e", "i82551",
	"i82557b", "i82559er", "ne2k_isa", "ne2k_pci", "pcnet", "rtl8139", "virtio", "vmxnet3"}

var netKeys = func() schema {
	s := schema{
		"model": text.byDefault().of(netModels...), "macaddr": text.opt().as(isMAC),
		"bridge": text.opt().as(isBridge), "firewall": boolean.opt(), "link_down": boolean.opt(),
		"mtu": integer.opt().atLeast(1).atMost(65520), "queues": integer.opt().atLeast(0).atMost(64),
		"rate": number.opt().atLeast(0), "tag": integer.opt().atLeast(1).atMost(4094),
		"trunks": text.opt().like(`\d+(?:-\d+)?(?:;\d+(?:-\d+)?)*`),
	}
	for _, model := range netModels {
		s[model] = property{alias: "macaddr", keyAlias: "model", optional: true}
	}
	return s
}()

// configPrivileges are those of which any one lets in to change a VM.
var configPrivileges = []string{"VM.Config.Disk", "VM.Config.CDROM", "VM.Config.CPU", "VM.Config.Memory",
	"VM.Config.Network", "VM.Config.HWType", "VM.Config.Options", "VM.Config.Cloudinit"}

// optionPrivilege says which privilege an option needs. Drives, serial ports
// and tags are not here: theirs depends on the value or is asked later.
var optionPrivilege = func() map[string]string {
	byOption := map[string]string{}
	for priv, options := range map[string][]string{
		"VM.Config.CPU":     append(numbered("numa", 8), "cores", "cpu", "cpulimit", "cpuunits", "numa", "sockets", "vcpus"),
		"VM.Config.Memory":  {"memory", "balloon"},
		"VM.Config.HWType":  {"acpi", "hotplug", "kvm", "machine", "scsihw", "smbios1", "tablet", "vga", "watchdog", "rng0"},
		"VM.Config.Options": {"agent", "bios", "description", "localtime", "name", "onboot", "ostype", "protection", "reboot", "startup", "template"},
		"VM.Config.Disk":    {"boot"},
		"VM.Config.Network": numbered("net", 32),
	} {
		for _, option := range options {
			byOption[option] = priv
		}
	}
	return byOption
}()
