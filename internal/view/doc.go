// Package view draws events, plans and results for people and for programs.
// The story goes to one writer (stderr), the answer to another (stdout).
//
// A run's events become progress in one of four ways: a few lines of a
// terminal drawn again and again, a line a transition, a JSON object a line,
// or nothing. All but JSON draw the same story, which they fold the events
// into. What others said (errors of services, names of hosts) never reaches a
// terminal with its control characters.
package view
