// Package kube asks a cluster whether its nodes have joined: nodes, pending
// certificate requests, cluster version, cluster operators, console.
//
// It is a small REST client of its own (DESIGN §8): the API is dialled at a
// given address with the name from the kubeconfig, so that a client without
// our DNS can ask too, and so that "API down", "balancer down" and "name does
// not resolve" can be told apart.
package kube
