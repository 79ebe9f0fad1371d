// Package proxmox makes machines of virtual machines on Proxmox VE 8 and 9.
//
// The way of a call, from the outside in:
//
//	Provider   the contract of package provider: find, ensure, release, ...
//	client     GET, POST, PUT, DELETE and upload; errors with a Kind; tasks
//	transport  token, trust, three calls at a time and node, GETs repeated
//
// What many do at once costs few calls: a list that several need is asked for
// once (shared), the tasks of a node are watched together (watch), and there
// are no more changes under way on a node than its locks bear (window).
//
// An ordinary call goes through proxmox-api-go, whose requests travel over
// our transport: it never sees a failure that would send it to sleep, nor a
// body that would make it panic. Uploads and DELETEs, which it has no fitting
// call for, share the same http.Client.
//
// Whose a virtual machine is stands in its description, which the call that
// creates it writes (API path /nodes/{node}/qemu). Names, tags, pools and the
// range of ids only say where to look.
package proxmox
