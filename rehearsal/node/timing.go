package node

import "time"

// How long things take on the hardware of a small datacentre; hosts divide
// these durations by their Speed.
const (
	postTime        = 8 * time.Second  // firmware, until it looks for something to boot
	bootRetry       = 5 * time.Second  // firmware without a boot device looks again
	liveBootTime    = 40 * time.Second // kernel, initramfs, root file system of the live system
	diskBootTime    = 30 * time.Second // kernel and system from disk, until the network
	shutdownTime    = 5 * time.Second  // services end, file systems are unmounted
	dhcpTimeout     = 4 * time.Second  // a DHCP client asks again
	dhcpRetry       = 60 * time.Second // it tries again after nobody answered
	agentStartTime  = 10 * time.Second // image pull and start of the discovery agent
	agentRetry      = 5 * time.Second  // registration that was refused
	agentBackoff    = 60 * time.Second // the service does not answer instructions
	inventoryTime   = 3 * time.Second
	diskSpeedTime   = 20 * time.Second
	imagePullTime   = 60 * time.Second
	startTime       = 5 * time.Second // of the installation itself
	writeTime       = 150 * time.Second
	registryTime    = 2 * time.Second // nothing is copied without a local registry
	bootkubeTime    = 90 * time.Second
	inPlaceTime     = 60 * time.Second // manifests of a single node's bootkube are applied
	controllerTime  = 30 * time.Second // pod of the controller starts on a node
	rebootDelay     = 60 * time.Second // of control plane hosts but the bootstrap: etcd members join one by one
	ignitionRetry   = 5 * time.Second
	waitPoll        = 10 * time.Second // looking whether the control plane is there
	kubeletStart    = 20 * time.Second // pulls and starts what the configuration asks for
	kubeletRetry    = 5 * time.Second
	nodeReadyTime   = 60 * time.Second // network plugin comes up
	staticPodTime   = 45 * time.Second // kube-apiserver and etcd of a node that joined
	apiWarmup       = 10 * time.Second // listening, not yet ready
	apiDrain        = 15 * time.Second // not ready any more, still answering
	heartbeat       = 10 * time.Second
	nodeGrace       = 40 * time.Second // without a heartbeat
	controllerEvery = 10 * time.Second
	operatorTime    = 6 * time.Second // one cluster operator after another
	routerTime      = 30 * time.Second
	rescheduleTime  = 5 * time.Minute // tolerationSeconds of pods on a node that is gone
)

// Floors in wall time: real processes and connections on a busy machine do
// not get faster with the rehearsal.
const (
	minHeartbeat = 500 * time.Millisecond
	minGrace     = 10 * time.Second
	minPatience  = 2 * time.Second // time-outs of connecting and of DNS
	minAnswer    = 6 * time.Second // time-out of a whole request
)

// writeSteps is how many times the writing of the image is reported: every 5 %.
const writeSteps = 20

// patience is the time-out of something that gives up after d in real time.
func (h *Host) patience(d time.Duration) time.Duration {
	return max(min(d, minPatience), h.hw.Speed.Scale(d))
}
