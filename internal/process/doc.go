// Package process finds processes of this host by their arguments, tells them
// apart from later ones with the same number, and ends them; and takes locks that
// end with them.
package process
