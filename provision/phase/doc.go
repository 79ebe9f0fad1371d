// Package phase carries a graph of steps out: independent steps side by side,
// each after what it needs, each journaled before it touches the world.
//
// A step's Done asks the world and not the journal, so that a run killed at
// any instant is resumed by running it again. Undo walks the same graph
// backwards.
package phase
