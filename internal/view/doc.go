// Package view draws events, plans and results for people and for programs.
// The story goes to one writer (stderr), the answer to another (stdout).
package view
