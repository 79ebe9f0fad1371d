// Package media fetches the cloud images that services machines begin with:
// once for all clusters of a user, resumed where it broke off, and never used
// unless its digest is the one that was asked for.
package media
