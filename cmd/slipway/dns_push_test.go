package main

import (
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/slipway-project/slipway/provision"
)

const tsigSecret = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0IQ=="

// acceptUpdates runs a DNS server that holds lab.test. and 192.in-addr.arpa.,
// empty, hands them out and says yes to every signed update.
func acceptUpdates(t *testing.T) (at string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &dns.Server{Listener: l, Handler: dns.HandlerFunc(acceptUpdate), TsigSecret: map[string]string{"slipway.": tsigSecret},
		MsgAcceptFunc: func(dns.Header) dns.MsgAcceptAction { return dns.MsgAccept }}
	ended := make(chan error)
	go func() { ended <- s.ActivateAndServe() }()
	t.Cleanup(func() {
		_ = s.Shutdown()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

func acceptUpdate(w dns.ResponseWriter, r *dns.Msg) {
	m := new(dns.Msg).SetReply(r)
	m.Authoritative = true
	tsig := r.IsTsig()
	if tsig == nil || w.TsigStatus() != nil {
		m.Rcode = dns.RcodeRefused
		_ = w.WriteMsg(m)
		return
	}
	apex := "lab.test."
	if dns.IsSubDomain("arpa.", r.Question[0].Name) {
		apex = "192.in-addr.arpa."
	}
	if r.Opcode == dns.OpcodeQuery {
		soa := &dns.SOA{Hdr: dns.RR_Header{Name: apex, Rrtype: dns.TypeSOA, Class: dns.ClassINET}, Ns: "ns.lab.test.", Mbox: "hostmaster.lab.test.", Serial: 1}
		m.Answer = []dns.RR{soa}
		if r.Question[0].Qtype == dns.TypeAXFR {
			m.Answer = append(m.Answer, soa)
		}
	}
	m.SetTsig(tsig.Hdr.Name, tsig.Algorithm, 300, int64(tsig.TimeSigned))
	_ = w.WriteMsg(m)
}

func TestDNSPush(t *testing.T) {
	dir := t.TempDir()
	spec, key := write(t, filepath.Join(dir, "cluster.hcl"), dnsSpec), write(t, filepath.Join(dir, "key"), tsigSecret)
	configured := write(t, filepath.Join(dir, "configured.hcl"), strings.Replace(dnsSpec, `services { address = "192.0.2.210" }`, `services {
    address = "192.0.2.210"
    dns {
      mode   = "rfc2136"
      server = "192.0.2.53"
      key    = "slipway"
      secret = secret.tsig
    }
  }`, 1)+"secret \"tsig\" {\n  file = \""+key+"\"\n}\n")
	at := acceptUpdates(t)
	added := `ZONE              ADDED  CHANGED  REMOVED  UNCHANGED
lab.test          4      0        0        0
192.in-addr.arpa  2      0        0        0
`
	removed := strings.NewReplacer("4 ", "0 ", "2      0", "0      0").Replace(added)
	tests := []struct {
		name, want string
		args       []string
	}{
		{"counts are the answer", added, []string{"-f", spec, "--tsig", "slipway:hmac-sha256:" + key}},
		{"the key may come from the spec", added, []string{"-f", configured}},
		{"nothing is there to be removed", removed, []string{"-f", spec, "--tsig", "slipway:hmac-sha256:" + key, "--remove"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			code, stdout, stderr := slipwayHere(t, append([]string{"dns", "push", "--rfc2136", at}, tt.args...)...)
			if diff := cmp.Diff(tt.want, stdout); code != provision.ExitOK || stderr != "" || diff != "" {
				t.Errorf("exit %d, stderr %s, -want +got\n%s", code, stderr, diff)
			}
		})
	}
	t.Run("a dry run is input of nsupdate", func(t *testing.T) {
		code, stdout, stderr := slipwayHere(t, "dns", "push", "-f", spec, "--rfc2136", at, "--tsig", "slipway:hmac-sha256:"+key, "--dry-run")
		want := "server " + strings.Replace(at, ":", " ", 1) + "\nzone lab.test.\nprereq nxdomain "
		if code != provision.ExitOK || !strings.HasPrefix(stdout, want) || !strings.HasSuffix(stdout, "\nsend\n") {
			t.Errorf("exit %d, stderr %s, stdout\n%s", code, stderr, stdout)
		}
	})
	t.Run("JSON has the updates, too", func(t *testing.T) {
		code, stdout, _ := slipwayHere(t, "dns", "push", "-f", spec, "--rfc2136", at, "--tsig", "slipway:hmac-sha256:"+key, "-o", "json")
		if code != provision.ExitOK || !strings.Contains(stdout, `"zone": "lab.test."`) || !strings.Contains(stdout, `"added": 4`) {
			t.Errorf("exit %d, stdout\n%s", code, stdout)
		}
	})
}
