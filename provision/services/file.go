package services

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"

	"github.com/slipway-project/slipway/dnsserver"
	"github.com/slipway-project/slipway/internal/atomicfile"
)

// maxDocument bounds what is read: a cluster of 1000 nodes takes 600 KB.
const maxDocument = 8 << 20

// Write replaces the document at path, mode 0600, at one stroke. A document
// that [Validate] refuses is not written.
func Write(path string, d Document) error {
	if err := Validate(d); err != nil {
		return fmt.Errorf("services document: %w", err)
	}
	b, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return fmt.Errorf("services document: %w", err)
	}
	return atomicfile.Write(path, append(b, '\n'), 0o600)
}

// Read returns the document at path, after [Validate]. Unknown fields, another
// version or anything after the document are errors.
func Read(path string) (Document, error) {
	f, err := os.Open(path)
	if err != nil {
		return Document{}, fmt.Errorf("services document: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxDocument+1))
	if err != nil {
		return Document{}, fmt.Errorf("services document: %w", err)
	}
	d, err := parse(b)
	if err != nil {
		return Document{}, fmt.Errorf("services document %s: %w", path, err)
	}
	return d, nil
}

// Parse returns the document that b is, as strictly as [Read].
func Parse(b []byte) (Document, error) {
	d, err := parse(b)
	if err != nil {
		return Document{}, fmt.Errorf("services document: %w", err)
	}
	return d, nil
}

func parse(b []byte) (Document, error) {
	if len(b) > maxDocument {
		return Document{}, fmt.Errorf("more than %d bytes", maxDocument)
	}
	var head struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(b, &head); err != nil {
		return Document{}, err
	}
	if head.Version != DocumentVersion {
		return Document{}, fmt.Errorf("version %d, want %d", head.Version, DocumentVersion)
	}
	var d Document
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&d); err != nil {
		return Document{}, err
	}
	return d, Validate(d)
}

// Validate reports everything that DNS or load balancer would refuse, without
// opening a socket.
func Validate(d Document) error {
	errs := []error{validOwner(d.Owner), validListen(d.DNS.Listen), d.Balancer.Validate()}
	if d.Version != DocumentVersion {
		errs = append(errs, fmt.Errorf("version %d, want %d", d.Version, DocumentVersion))
	}
	zones := d.DNS
	zones.Listen = nil
	probe := dnsserver.New(dnsserver.Options{Log: 1})
	defer probe.Close()
	return errors.Join(append(errs, probe.Set(zones))...)
}

// validOwner keeps the owner fit for arguments of processes: it marks them.
func validOwner(owner string) error {
	odd := func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '.')
	}
	if owner == "" || len(owner) > 253 || strings.IndexFunc(owner, odd) >= 0 || strings.HasPrefix(owner, "-") {
		return fmt.Errorf("owner %q is not a full cluster name", owner)
	}
	return nil
}

// validListen insists on explicit addresses: a server on all of them would be
// an open resolver for whoever else the host knows.
func validListen(listen []netip.AddrPort) error {
	for _, a := range listen {
		if !a.IsValid() || a.Addr().IsUnspecified() {
			return fmt.Errorf("DNS address %q is not that of one host", a)
		}
	}
	return nil
}
