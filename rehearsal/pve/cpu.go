package pve

import "regexp"

// cpuModels are the models that QEMU or Proxmox VE knows by itself.
var cpuModels = regexp.MustCompile(`^(?:host|max|(?:kvm|qemu)(?:32|64)|x86-64-v(?:2(?:-AES)?|3|4)|486|athlon|phenom|core2?duo|pentium[23]?` +
	`|Opteron_G[1-5]|(?:Conroe|Penryn|KnightsMill)|(?:Nehalem|Westmere|SandyBridge|IvyBridge)(?:-IBRS)?` +
	`|(?:Haswell|Broadwell)(?:-noTSX)?(?:-IBRS)?|Skylake-(?:Client|Server)(?:(?:-noTSX)?-IBRS|-v\d)?` +
	`|(?:Cascadelake-Server|Icelake-Client|Icelake-Server)(?:-noTSX|-v\d)?|(?:Cooperlake|SapphireRapids|GraniteRapids|SierraForest|ClearwaterForest)(?:-v\d)?` +
	`|EPYC(?:-IBPB|(?:-Rome|-Milan|-Genoa|-Turin)?(?:-v\d)?))$`)

// cpuType is the model in a cpu option, "" when it names none.
func cpuType(value string) string {
	keys, _ := cpuKeys.parse("cpu", value)
	return keys["cputype"]
}

func knownCPU(value string) bool {
	model := cpuType(value)
	return model == "" || cpuModels.MatchString(model)
}
