package main

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Only what the file has word for word is given back.
func TestCleanMappings(t *testing.T) {
	const smaps = `00400000-00dfe000 r-xp 00000000 fe:00 99 /opt/slipway
Rss:                6840 kB
Anonymous:             0 kB
AnonHugePages:         0 kB
VmFlags: rd ex mr mw me
00dfe000-017cb000 r--p 009fe000 fe:00 99 /opt/slipway
Anonymous:             4 kB
017cb000-01859000 rw-p 013cb000 fe:00 99 /opt/slipway
Anonymous:             0 kB
01859000-0389e000 rw-p 00000000 00:00 0
Anonymous:             0 kB
7f950823b000-7f950835d000 r--p 00000000 fe:00 98 /lib/libc.so.6
Anonymous:             0 kB
7f960823b000-7f960835d000 r--p 00000000 fe:00 99 /opt/slipway
Anonymous:             0 kB
`
	want := []mapping{{0x400000, 0xdfe000}, {0x7f960823b000, 0x7f960835d000}}
	if diff := cmp.Diff(want, cleanMappings(strings.NewReader(smaps), "/opt/slipway"), cmp.AllowUnexported(mapping{})); diff != "" {
		t.Errorf("mappings (-want +got):\n%s", diff)
	}
}

// The program lives on, and this machine's kernel writes what we read.
func TestReleaseStartup(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	smaps, err := os.Open("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	defer smaps.Close()
	if len(cleanMappings(smaps, exe)) == 0 {
		t.Error("no mapping of the executable can be given back")
	}
	releaseStartup()
	if code, stdout, stderr := slipwayHere(t, "version"); code != 0 || !strings.HasPrefix(stdout, "slipway ") {
		t.Errorf("afterwards: exit %d, %q, %q", code, stdout, stderr)
	}
}
