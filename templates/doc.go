// Package templates holds the text that becomes a file on some machine, and
// the typed functions that render it.
//
// Injection into such a file is code execution on that machine (a newline and
// lua-load are enough for haproxy, even while it only checks a file). So a
// template prints data through a function for its type and nothing else, and
// what comes out is looked at once more, byte by byte.
package templates
