package pve

import (
	"net/http"
	"slices"
	"strings"
)

// An endpoint is one method of one path.
type endpoint struct {
	method, path string // path may end in "{volume}", which takes the rest
	access       access
	params       schema // those of the path included
	run          func(*call) (any, error)
	upload       bool
}

const (
	get, post, put, del = http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete

	vm    = "/nodes/{node}/qemu/{vmid}"
	store = "/nodes/{node}/storage/{storage}"
)

var (
	power = needs("/vms/{vmid}", "VM.PowerMgmt")
	audit = needs("/vms/{vmid}", "VM.Audit")
)

// endpoints is all there is of the API; a call of anything else is answered with 501.
var endpoints = []*endpoint{
	{get, "/version", anyone, schema{}, getVersion, false},
	{get, "/access/permissions", anyone, permissionsParams, getPermissions, false},
	{get, "/cluster/nextid", anyone, schema{"vmid": vmidParam.opt()}, getNextID, false},
	{get, "/cluster/options", anyone, schema{}, getOptions, false},
	{get, "/cluster/resources", anyone, resourcesParams, getResources, false},
	{get, "/cluster/status", needs("/", "Sys.Audit"), schema{}, getClusterStatus, false},
	{get, "/cluster/tasks", anyone, schema{}, getClusterTasks, false},
	{get, "/cluster/ha/resources", needs("/", "Sys.Audit"), haParams, getHAResources, false},
	{get, "/cluster/sdn/vnets", anyone, vnetParams, getVNets, false},
	{get, "/pools", anyone, poolsParams, getPools, false},
	{get, "/pools/{poolid}", needs("/pool/{poolid}", "Pool.Audit"), poolParams, getPool, false},
	{get, "/nodes", anyone, schema{}, getNodes, false},
	{get, "/nodes/{node}/status", needs("/nodes/{node}", "Sys.Audit"), nodeParams, getNodeStatus, false},
	{get, "/nodes/{node}/time", needs("/nodes/{node}", "Sys.Audit"), nodeParams, getNodeTime, false},
	{get, "/nodes/{node}/version", anyone, nodeParams, getNodeVersion, false},
	{get, "/nodes/{node}/query-url-metadata", mayUseNetwork, urlParams, getURLMetadata, false},
	{get, "/nodes/{node}/network", anyone, networkParams, getNetwork, false},
	{get, "/nodes/{node}/storage", anyone, storageListParams, getStorages, false},
	{get, "/storage", anyone, storageConfigParams, getStorageConfig, false},
	{get, store + "/status", needsAny("/storage/{storage}", "Datastore.Audit", "Datastore.AllocateSpace"), storageParams, getStorageStatus, false},
	{get, store + "/content", needsAny("/storage/{storage}", "Datastore.Audit", "Datastore.AllocateSpace"),
		contentParams, getContent, false},
	{del, store + "/content/{volume}", anyone, deleteVolumeParams, deleteVolume, false},
	{post, store + "/upload", needs("/storage/{storage}", "Datastore.AllocateTemplate"), uploadParams, postUpload, true},
	{post, store + "/download-url", mayDownload, downloadParams, postDownload, false},
	{get, "/nodes/{node}/tasks", anyone, taskListParams, getTasks, false},
	{get, "/nodes/{node}/tasks/{upid}/status", anyone, taskParams, getTaskStatus, false},
	{get, "/nodes/{node}/tasks/{upid}/log", anyone, taskLogParams, getTaskLog, false},
	{del, "/nodes/{node}/tasks/{upid}", anyone, taskParams, deleteTask, false},
	{get, "/nodes/{node}/qemu", anyone, vmListParams, getVMs, false},
	{post, "/nodes/{node}/qemu", anyone, createParams, createVM, false},
	{del, vm, needs("/vms/{vmid}", "VM.Allocate"), destroyParams, destroyVM, false},
	{get, vm + "/config", audit, getConfigParams, getConfig, false},
	{put, vm + "/config", needsAny("/vms/{vmid}", configPrivileges...), putConfigParams, putConfig, false},
	{post, vm + "/config", needsAny("/vms/{vmid}", configPrivileges...), postConfigParams, postConfig, false},
	{put, vm + "/resize", needs("/vms/{vmid}", "VM.Config.Disk"), resizeParams, resizeDisk, false},
	{get, vm + "/pending", audit, vmParams, getPending, false},
	{get, vm + "/status/current", audit, vmParams, getStatus, false},
	{post, vm + "/status/start", power, startParams, startVM, false},
	{post, vm + "/status/stop", power, stopParams, stopVM, false},
	{post, vm + "/status/shutdown", power, shutdownParams, shutdownVM, false},
	{post, vm + "/status/reset", power, resetParams, resetVM, false},
	{get, vm + "/agent/network-get-interfaces", mayAskAgent, vmParams, getAgentInterfaces, false},
}

// until82 are parameters as they were before release 8.2, which brought the
// content of images to import (libpve-storage-perl 8.1.1).
var until82 = map[string]schema{
	"GET " + store + "/content": {"content": text.opt().of(slices.DeleteFunc(slices.Clone(contentTypes), func(kind string) bool { return kind == "import" })...)},
}

// until84 are parameters as they were before release 8.4, which takes uploads
// of disk images (libpve-storage-perl 8.3.6).
var until84 = map[string]schema{
	"POST " + store + "/upload":       {"content": text.of("iso", "vztmpl")},
	"POST " + store + "/download-url": {"content": text.of("iso", "vztmpl")},
}

// since9 are parameters that release 9 brought or changed, by method and path.
var since9 = map[string]schema{
	"GET /nodes/{node}/network": {"type": text.opt().of(append(slices.Clone(networkParams["type"].enum), "include_sdn", "fabric")...)},
	"POST /nodes/{node}/qemu":   {"ha-managed": boolean.opt()},
}

// schema is what the release takes.
func (e *endpoint) schema(r release) schema {
	at := e.method + " " + e.path
	if newer := since9[at]; newer != nil && !r.before(9, 0) {
		return merge(e.params, newer)
	}
	if older := until82[at]; older != nil && r.before(8, 2) {
		return merge(e.params, older)
	}
	if older := until84[at]; older != nil && r.before(8, 4) {
		return merge(e.params, older)
	}
	return e.params
}

// route finds the endpoint of a request and the parameters in its path.
func route(method, path string) (*endpoint, map[string]string) {
	for _, e := range endpoints {
		if params, ok := e.match(path); ok && e.method == method {
			return e, params
		}
	}
	return nil, nil
}

func (e *endpoint) match(path string) (map[string]string, bool) {
	want := strings.Split(strings.Trim(e.path, "/"), "/")
	have := strings.FieldsFunc(path, func(r rune) bool { return r == '/' })
	if last := len(want) - 1; want[last] == "{volume}" && len(have) > last {
		have = append(have[:last:last], strings.Join(have[last:], "/"))
	}
	if len(want) != len(have) {
		return nil, false
	}
	params := map[string]string{}
	for i, part := range want {
		if name, ok := strings.CutPrefix(part, "{"); ok {
			params[strings.TrimSuffix(name, "}")] = have[i]
		} else if part != have[i] {
			return nil, false
		}
	}
	return params, true
}
