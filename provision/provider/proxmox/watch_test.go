package proxmox

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Hundreds of tasks of a node are watched with fewer calls than tasks, and
// those that the list does not tell of are asked for one by one.
func TestManyTasksAreWatchedTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 300
		begin := time.Now()
		end := func(i int) time.Time { return begin.Add(2*time.Second + time.Duration(i)*50*time.Millisecond) }
		name := func(i int) string {
			return fmt.Sprintf("UPID:pve1:%08X:0A5C31D6:66F1A2B3:qmcreate:%d:slipway@pve!ci:", i, 20000+i)
		}
		calls := 0
		c := wire(func(r *http.Request) (*http.Response, error) {
			calls++
			if strings.HasSuffix(r.URL.Path, "/status") {
				if !strings.Contains(r.URL.Path, name(n-1)) {
					t.Errorf("%s was asked for by itself", r.URL.Path)
				}
				return says(r, 200, "OK", `{"data":{"status":"stopped","exitstatus":"OK"}}`)
			}
			var list []string
			for i := range n - 1 {
				line := `{"upid":"` + name(i) + `","status":"RUNNING"}`
				if time.Now().After(end(i)) {
					line = fmt.Sprintf(`{"upid":%q,"endtime":%d,"status":"job errors"}`, name(i), time.Now().Unix())
				}
				list = append(list, line)
			}
			return says(r, 200, "OK", `{"data":[`+strings.Join(list, ",")+`]}`)
		}).client(t)
		var group sync.WaitGroup
		for i := range n {
			group.Go(func() {
				task, err := parseUPID(name(i))
				if err != nil {
					t.Error(err)
				}
				exit, err := c.watches.at(c, "pve1").await(t.Context(), task)
				want := map[bool]string{true: "OK", false: "job errors"}[i == n-1]
				if late := time.Since(end(i)); exit != want || err != nil || i < n-1 && late > crowded+latest {
					t.Errorf("%d ended with %q, %v, told %s late", i, exit, err, late)
				}
			})
		}
		group.Wait()
		if calls > n/10 {
			t.Errorf("%d calls for %d tasks", calls, n)
		}
	})
}

// A node that tells nothing of its tasks for a minute is given up.
func TestTasksOutOfSight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := wire(func(r *http.Request) (*http.Response, error) { return says(r, 596, "Broken pipe", "") }).client(t)
		var group sync.WaitGroup
		begin := time.Now()
		for i := range 3 {
			group.Go(func() {
				task, _ := parseUPID(strings.Replace(someUPID, "20001", fmt.Sprint(i), 1))
				if _, err := c.watches.at(c, "pve1").await(t.Context(), task); !errors.Is(err, Unavailable) {
					t.Errorf("error is %v", err)
				}
			})
		}
		group.Wait()
		if took := time.Since(begin); took < blindness || took > 2*blindness {
			t.Errorf("given up after %s", took)
		}
	})
}
