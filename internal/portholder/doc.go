// Package portholder says who has a port and what to do about it, so that a
// server that cannot bind tells more than "address already in use".
package portholder
