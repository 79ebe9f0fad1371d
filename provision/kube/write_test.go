package kube

import (
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLabelsOfANode(t *testing.T) {
	var sent string
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/nodes/a.lab.test", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, node("a.lab.test", "worker", "True", "192.0.2.1"))
	})
	mux.HandleFunc("PATCH /api/v1/nodes/a.lab.test", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		sent = r.Header.Get("Content-Type") + " " + string(body)
		fmt.Fprint(w, `{}`)
	})
	c := client(t, mux)
	got, err := c.Labels(t.Context(), "a.lab.test")
	if diff := cmp.Diff(map[string]string{"node-role.kubernetes.io/worker": ""}, got); diff != "" || err != nil {
		t.Errorf("labels (-want +got):\n%s%v", diff, err)
	}
	if err := c.Label(t.Context(), "a.lab.test", map[string]string{"x": "1"}); err != nil || sent != `application/merge-patch+json {"metadata":{"labels":{"x":"1"}}}` {
		t.Errorf("sent %s, %v", sent, err)
	}
	if _, err := c.Labels(t.Context(), "b.lab.test"); err == nil || err.Error() != "the cluster has no node b.lab.test" {
		t.Errorf("error %v", err)
	}
	if err := c.Label(t.Context(), "b.lab.test", nil); err == nil || err.Error() != "/api/v1/nodes/b.lab.test: 404 Not Found" {
		t.Errorf("error %v", err)
	}
}

func TestIngressCA(t *testing.T) {
	const path = "/api/v1/namespaces/openshift-config-managed/configmaps/default-ingress-cert"
	for name, test := range map[string]struct {
		answers map[string]string
		want    string
		fails   bool
	}{
		"published":     {map[string]string{path: `{"data":{"ca-bundle.crt":"PEM"}}`}, "PEM", false},
		"not published": {map[string]string{}, "", false},
		"empty":         {map[string]string{path: `{}`}, "", false},
		"no JSON":       {map[string]string{path: `<html>`}, "", true},
	} {
		if got, err := serve(t, test.answers).IngressCA(t.Context()); string(got) != test.want || (err != nil) != test.fails {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}
