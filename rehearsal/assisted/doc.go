// Package assisted simulates the assisted installer service: its REST API as
// users and agents see it, its state machines, its validations, and the
// discovery ISO it makes.
//
// The wire is that of openshift/assisted-service (swagger.yaml, base path
// /api/assisted-install); states, stages, texts and limits were taken from a
// running service at commit 063b257. Durations are divided by
// [Config.Speed], clocks are not: next_instruction_seconds keeps the real
// value and the host divides it.
package assisted
