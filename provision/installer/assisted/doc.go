// Package assisted installs clusters with an assisted installer service:
// self-hosted without authentication, or with a bearer token.
//
// The way of a run through it:
//
//	config    reads the installer block
//	check     finds what would fail later
//	register  makes cluster and infra env, or finds those of an earlier run
//	media     streams the discovery ISO
//	poll      looks once; corrects role, host name and disk of each host
//	install   begins; hands over credentials
//	remove    deletes what carries the mark
//
// Clusters are installed in the service's network mode "none": platform none
// with user-managed networking, so DNS and load balancer are ours. Hosts are
// recognised by their SMBIOS UUID, which the discovery agent reports as host
// id. The API is that of openshift/assisted-service, swagger.yaml, base path
// /api/assisted-install/v2; names in it are not unique, so everything is
// found by a mark: a tag on the cluster and the name of the infra env.
package assisted
