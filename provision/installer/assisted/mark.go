package assisted

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/slipway-project/slipway/provision/provider"
)

// The service has no place for a mark of ours but these: tags of clusters,
// whose words are letters, digits, underscores and spaces, and the free name
// of infra envs, which have no tags.

const (
	tagWord      = "slipway"
	tagID        = "slipway_id_"
	infraEnvWord = "slipway_"
)

// tags writes the mark's id; its cluster is in the cluster's own name.
func tags(mark provider.Mark) string { return tagWord + "," + tagID + escape(mark.ID) }

// markOf reads the mark of a cluster; ok is false when it is none of ours.
func markOf(c cluster) (mark provider.Mark, ok bool) {
	for tag := range strings.SplitSeq(c.Tags, ",") {
		word, found := strings.CutPrefix(strings.TrimSpace(tag), tagID)
		if !found {
			continue
		}
		if id, valid := unescape(word); valid && id != "" {
			return provider.Mark{Cluster: c.Name + "." + c.BaseDNSDomain, ID: id}, true
		}
	}
	return provider.Mark{}, false
}

// infraEnvName is slipway_<id>_<full cluster name>.
func infraEnvName(mark provider.Mark) string {
	return infraEnvWord + strings.ReplaceAll(escape(mark.ID), "_", "-") + "_" + mark.Cluster
}

func markOfInfraEnv(name string) (mark provider.Mark, ok bool) {
	rest, ours := strings.CutPrefix(name, infraEnvWord)
	word, cluster, whole := strings.Cut(rest, "_")
	id, valid := unescape(strings.ReplaceAll(word, "-", "_"))
	if !ours || !whole || !valid || id == "" || cluster == "" {
		return provider.Mark{}, false
	}
	return provider.Mark{Cluster: cluster, ID: id}, true
}

// escape writes every byte that is no letter or digit as _XX, in hexadecimal.
func escape(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "_%02x", c)
		}
	}
	return b.String()
}

// unescape reads what escape wrote, and nothing else.
func unescape(s string) (string, bool) {
	var b strings.Builder
	for rest := s; rest != ""; {
		if rest[0] != '_' {
			b.WriteByte(rest[0])
			rest = rest[1:]
			continue
		}
		if len(rest) < 3 {
			return "", false
		}
		c, err := strconv.ParseUint(rest[1:3], 16, 8)
		if err != nil {
			return "", false
		}
		b.WriteByte(byte(c))
		rest = rest[3:]
	}
	return b.String(), escape(b.String()) == s
}
