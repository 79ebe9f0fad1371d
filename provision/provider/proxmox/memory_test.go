package proxmox_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/slipway-project/slipway/internal/testbed"
	"github.com/slipway-project/slipway/provision/provider"
)

// An upload takes little memory, however large the image is.
func TestUploadInLittleMemory(t *testing.T) {
	if runtime.GOOS != "linux" {
		testbed.Missing(t, "/proc/self/status, to read the peak of memory from")
	}
	const size = 1 << 30
	img := provider.Image{
		Name: "slipway-mycluster.lab.test-0123456789ab.iso", Path: filepath.Join(t.TempDir(), "sparse"),
		Size: size, SHA256: strings.Repeat("0", 64)}
	if err := errors.Join(os.WriteFile(img.Path, nil, 0o600), os.Truncate(img.Path, size)); err != nil {
		t.Fatal(err)
	}
	d := newDatacentre(t, nil)
	var sunk int64
	d.intercept = func(w http.ResponseWriter, r *http.Request) bool {
		switch {
		case strings.HasSuffix(r.URL.Path, "/upload"):
			sunk, _ = io.Copy(io.Discard, r.Body)
			fmt.Fprint(w, `{"data":"UPID:pve1:0001A2B3:0A5C31D6:66F1A2B3:imgcopy::slipway@pve!test:"}`)
		case strings.Contains(r.URL.Path, ":imgcopy:"):
			fmt.Fprint(w, `{"data":{"status":"stopped","exitstatus":"OK"}}`)
		case strings.HasSuffix(r.URL.Path, "/content") && sunk > 0:
			fmt.Fprintf(w, `{"data":[{"volid":"local:iso/%s","size":%d}]}`, img.Name, size)
		default:
			return false
		}
		return true
	}
	p := startProcess(t, "upload", part{Spec: d.spec(), Image: img})
	var peak int
	p.says(t, &peak)
	p.end(t)
	t.Logf("the peak of memory was %d KiB", peak)
	if sunk < size || peak == 0 || peak >= memoryLimit {
		t.Errorf("%d bytes arrived and the peak of memory was %d KiB, want less than %d", sunk, peak, memoryLimit)
	}
}

// uploadAlone uploads and tells the most memory it ever had, in KiB.
func uploadAlone(ctx context.Context, told part) error {
	p, err := told.open()
	if err != nil {
		return err
	}
	defer p.Close()
	if _, err := p.Put(ctx, told.Image, []string{"pve1"}, nil); err != nil {
		return err
	}
	peak, err := peakMemory()
	return errors.Join(err, say(peak))
}

func peakMemory() (kib int, err error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	_, err = fmt.Sscanf(rest, "%d kB", &kib)
	return kib, err
}
