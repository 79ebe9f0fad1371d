package provision

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"golang.org/x/sys/unix"
)

// Whichever record the disk refuses: the run ends, what was recorded before
// stands, the error lists what was made, and nothing is made that it does not
// list.
func TestDiskFullAtEveryRecord(t *testing.T) {
	home := t.TempDir()
	whole := 0
	synctest.Test(t, func(t *testing.T) {
		s := simulate(home, "c", 3, 1)
		if err := s.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		whole = int(s.journal.Document().Seq) - 1
	})
	if whole < 20 {
		t.Fatalf("only %d records", whole)
	}
	for _, fault := range []error{unix.ENOSPC, unix.EIO} {
		for room := range whole {
			synctest.Test(t, func(t *testing.T) { fillUp(t, home, room, fault) })
		}
	}
}

func fillUp(t *testing.T, home string, room int, fault error) {
	s := simulate(home, "c", 3, 1)
	journal := s.journal.(*ledger)
	journal.room, journal.full = room, fault
	err := s.Run(t.Context())
	s.explainDisk(&err)
	var disk *DiskError
	if !errors.Is(err, fault) || !errors.As(err, &disk) {
		t.Fatalf("%d records: error %v", room, err)
	}
	if got := int(journal.doc.Seq) - 1; got != room {
		t.Errorf("%d records are there, want %d", got, room)
	}
	told := strings.Join(disk.Made, "\n")
	for _, m := range s.script.machines {
		if !strings.Contains(told, "machine "+m.Name+" ("+m.ID+" on pve)") {
			t.Errorf("%d records: machine %s was made and is not told of: %q", room, m.Name, told)
		}
	}
	if !strings.Contains(Hint(err), "slipway down") || ExitCode(err) == ExitOK {
		t.Errorf("exit code %d, hint %q", ExitCode(err), Hint(err))
	}
}
