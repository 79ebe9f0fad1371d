// Package state remembers what a run made, so that the next run resumes it
// and `down` removes exactly that.
//
// A cluster's state is an append-only [Journal] of [Record]s, folded into one
// [Document]. Intent is recorded before effect and identity before intent;
// what a record says is a claim to be checked against the world, never a
// substitute for looking. Secrets are never recorded.
package state
