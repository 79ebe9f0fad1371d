package proxmox

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/slipway-project/slipway/provision/provider"
)

// An ownership is the machine-readable line of a description. It names the
// VMID too: a clone or a restored backup has the same description under
// another id, and is not ours.
type ownership struct {
	mark provider.Mark
	name string // full node name
	vmid int
}

const markWord = "slipway-mark-v1"

// plainWord is what may stand in a mark: nothing that PVE encodes in its
// configuration files (%, colon, control and non-ASCII characters).
var plainWord = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

// description writes the text that goes into the creating call: a sentence
// for people and, apart from it since the web interface renders Markdown, the
// line that slipway reads.
func (o ownership) description() (string, error) {
	for _, word := range []string{o.mark.Cluster, o.mark.ID, o.name} {
		if !plainWord.MatchString(word) {
			return "", fmt.Errorf("mark of %q: %q cannot be written in a description", o.name, word)
		}
	}
	return fmt.Sprintf("Node %s of cluster %s, made by slipway. Keep the next line: it says whose this is.\n\n%s cluster=%s id=%s name=%s vmid=%d\n",
		o.name, o.mark.Cluster, markWord, o.mark.Cluster, o.mark.ID, o.name, o.vmid), nil
}

// parseDescription finds the first whole mark, wherever people have put text
// around it.
func parseDescription(s string) (ownership, bool) {
	for line := range strings.Lines(s) {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] != markWord {
			continue
		}
		if o, ok := parseMark(fields[1:]); ok {
			return o, true
		}
	}
	return ownership{}, false
}

func parseMark(fields []string) (ownership, bool) {
	values := make(map[string]string, len(fields))
	for _, field := range fields {
		key, value, ok := strings.Cut(field, "=")
		if _, twice := values[key]; !ok || twice || !plainWord.MatchString(value) {
			return ownership{}, false
		}
		values[key] = value
	}
	vmid, err := strconv.Atoi(values["vmid"])
	o := ownership{provider.Mark{Cluster: values["cluster"], ID: values["id"]}, values["name"], vmid}
	return o, err == nil && vmid > 0 && o.mark.Cluster != "" && o.mark.ID != "" && o.name != ""
}
