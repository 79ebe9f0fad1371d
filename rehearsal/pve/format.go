package pve

//lint:file-ignore ST1005 these are the real server's words, newlines and all

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// matches is the check of a named format; what completes "value does not
// look like a valid ...".
func matches(re, what string) func(string) error {
	compiled := regexp.MustCompile(`^(?:` + re + `)$`)
	return func(value string) error {
		if !compiled.MatchString(value) {
			return fmt.Errorf("value does not look like a valid %s\n", what)
		}
		return nil
	}
}

// listOf checks each element of a list split at ';', ',' or white space.
func listOf(check func(string) error) func(string) error {
	return func(value string) error {
		for _, part := range splitList(value) {
			if err := check(part); err != nil {
				return err
			}
		}
		return nil
	}
}

func splitList(value string) []string {
	return strings.FieldsFunc(value, func(r rune) bool {
		return strings.ContainsRune(",;\x00 \t\r\n", r)
	})
}

var (
	isNode     = matches(`[a-zA-Z0-9]([a-zA-Z0-9\-]*[a-zA-Z0-9])?`, "node name")
	isVMID     = matches(`[1-9][0-9]{2,8}`, "VM ID")
	isStorage  = matches(`(?i)[a-z][a-z0-9\-_.]*[a-z0-9]`, "storage ID")
	isBridge   = matches(`[-_.\w\d]+`, "bridge")
	isDNSName  = matches(dnsLabel+`(?:\.`+dnsLabel+`)*`, "DNS name")
	isTag      = matches(`(?i)[a-z0-9_][a-z0-9_\-+.]*`, "tag")
	isPool     = matches(`[A-Za-z0-9.\-_]+(?:/[A-Za-z0-9.\-_]+){0,2}`, "pool name")
	isMAC      = matches(`(?i)[a-f0-9][02468ace](?::[a-f0-9]{2}){5}`, "MAC address (only unicast addresses are allowed)")
	isConfigID = matches(`(?i)[a-z][a-z0-9_-]+`, "configuration ID")
	isDiskSize = matches(`\d+(?:\.\d+)?[KMGT]?`, "disk size")
	isBootDev  = matches(`(?:ide|sata|scsi|virtio|net|hostpci|usb)\d+`, "boot device")
	isTaskKind = matches(`ok|error|warning|unknown`, "task status type")
	isEncoded  = matches(`[-%a-zA-Z0-9_.!~*'()]*`, "URL-encoded string")
)

const dnsLabel = `[a-zA-Z0-9](?:[a-zA-Z0-9\-]*[a-zA-Z0-9])?`

var contentTypes = []string{"images", "rootdir", "vztmpl", "iso", "backup", "snippets", "import", "none"}

func isContent(value string) error {
	if !slices.Contains(contentTypes, value) {
		return fmt.Errorf("invalid content type '%s'\n", value)
	}
	return nil
}

var volumeID = regexp.MustCompile(`^(?i)([a-z][a-z0-9\-_.]*[a-z0-9]):(.+)$`)

// isVolume accepts what a drive may hold: a volume, "none", "cdrom" or a new
// disk ("store:32"). File system paths are for root alone, and no token is.
func isVolume(value string) error {
	if value == "none" || value == "cdrom" || volumeID.MatchString(value) || strings.HasPrefix(value, "/") {
		return nil
	}
	return fmt.Errorf("unable to parse volume ID '%s'\n", value)
}
