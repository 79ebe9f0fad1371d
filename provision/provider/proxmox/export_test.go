package proxmox

// Fingerprint is what external tests pin.
var Fingerprint = fingerprint
