package assisted

// Requirements is the hardware that each role needs (HW_VALIDATOR_REQUIREMENTS).
type Requirements struct {
	Master, Worker, Single Hardware
}

// Hardware is the minimum of one role.
type Hardware struct {
	CPUs   int
	Memory int64 // MiB
	Disk   int64 // GB
	FSync  int64 // milliseconds, 99th percentile; 0: not asked
}

var realRequirements = Requirements{
	Master: Hardware{4, 16384, 100, 10},
	Worker: Hardware{2, 8192, 100, 0},
	Single: Hardware{8, 16384, 100, 10},
}

// memoryTolerance is what firmware may take of the memory, in MiB.
const memoryTolerance = 100

func (r Requirements) of(c *cluster, role string) Hardware {
	switch {
	case c != nil && c.ControlPlaneCount == 1 && role == "master":
		return r.Single
	case role == "master":
		return r.Master
	}
	return r.Worker
}

// disk is the size in GB under which no role can use a disk.
func (r Requirements) disk() int64 { return min(r.Master.Disk, r.Worker.Disk, r.Single.Disk) }

// judge gives a disk its id and says whether an installation may use it.
func (r Requirements) judge(d *disk) {
	d.ID = d.Path
	switch {
	case d.ByID != "":
		d.ID = d.ByID
	case d.ByPath != "":
		d.ID = d.ByPath
	}
	reasons := []string{}
	if d.DriveType == "ODD" {
		reasons = append(reasons, "Drive type is ODD, it must be one of HDD, SSD, Multipath, iSCSI, FC, RAID, ECKD, ECKD (ESE), FBA.")
	}
	if d.Removable {
		reasons = append(reasons, "Disk is removable")
	}
	if d.InstallMedia {
		reasons = append(reasons, "Disk appears to be the installation media")
	}
	if d.SizeBytes < r.disk()*1e9 {
		reasons = append(reasons, "Disk is too small")
	}
	d.Eligibility = &eligibility{Eligible: len(reasons) == 0, Reasons: reasons}
}

func (h Hardware) memoryFits(physical int64) bool {
	return physical>>20 >= h.Memory-memoryTolerance
}
