package node

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func testCluster(t *testing.T) *cluster {
	t.Helper()
	b, err := NewBundle("id", "mycluster", "lab.test", "4.20.3", nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := openCluster(NewSite(), b, Reporter{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// as is a request in the name of a user with a client certificate; no name is
// the node bootstrapper.
func (c *cluster) as(t *testing.T, user, group, method, path string, body any) (int, object, error) {
	t.Helper()
	data, ok := body.([]byte)
	if !ok {
		var err error
		if data, err = json.Marshal(body); err != nil {
			t.Fatal(err)
		}
	}
	r := httptest.NewRequest(method, path, bytes.NewReader(data))
	r.TLS = &tls.ConnectionState{}
	r.Header.Set("Authorization", "Bearer "+c.token)
	if user != "" {
		cert, _, err := c.ca.client(pkix.Name{CommonName: user, Organization: []string{group}})
		if err != nil {
			t.Fatal(err)
		}
		block, _ := pem.Decode(cert)
		leaf, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		r.TLS.PeerCertificates = []*x509.Certificate{leaf}
	}
	code, result, err := c.rest(r)
	o, _ := result.(object)
	var status *statusError
	if errors.As(err, &status) {
		code = status.Code
	}
	return code, o, err
}

func signingRequest(t *testing.T, signer string, usages []string, template *x509.CertificateRequest) object {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := newRequest(key, template)
	if err != nil {
		t.Fatal(err)
	}
	return object{APIVersion: requests.apiVersion(), Kind: requests.kind, Metadata: metadata{GenerateName: "csr-"},
		Spec: raw(requestSpec{Request: encoded, Signer: signer, Usages: usages, Username: "system:admin"})}
}

var (
	nodeName     = pkix.Name{CommonName: "system:node:a", Organization: []string{"system:nodes"}}
	clientUsages = []string{"digital signature", "client auth"}
)

func TestRequestIsSignedOnceApproved(t *testing.T) {
	c := testCluster(t)
	code, filed, err := c.as(t, "", "", "POST", requestsPath, signingRequest(t, clientSigner, clientUsages, &x509.CertificateRequest{Subject: nodeName}))
	if code != http.StatusCreated {
		t.Fatal(code, err)
	}
	if spec := parse[requestSpec](filed.Spec); spec.Username != bootstrapperName {
		t.Errorf("filed in the name of %s: the sender may not choose", spec.Username)
	}
	path := requestsPath + "/" + filed.Metadata.Name
	if _, o, _ := c.as(t, "", "", "GET", path, nil); len(parse[requestStatus](o.Status).Conditions) != 0 {
		t.Error("decided without anybody")
	}
	approved := filed
	approved.Status = raw(requestStatus{Conditions: []condition{{Type: "Approved", Status: "True", Reason: "SlipwaySpecMatch"}}})
	if code, _, _ := c.as(t, "", "", "PUT", path+"/approval", approved); code != http.StatusForbidden {
		t.Errorf("the bootstrapper approves its own request: %d", code)
	}
	code, granted, err := c.as(t, "system:admin", "system:masters", "PUT", path+"/approval", approved)
	block, _ := pem.Decode(parse[requestStatus](granted.Status).Certificate)
	if code != http.StatusOK || block == nil {
		t.Fatal(code, err)
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil || leaf.Subject.CommonName != "system:node:a" {
		t.Errorf("certificate of %v, %v", leaf.Subject, err)
	}
	if code, _, _ := c.as(t, "system:admin", "system:masters", "PUT", path+"/approval", approved); code != http.StatusConflict {
		t.Errorf("approval of an old version: %d", code)
	}
}

func TestApprovedRequestThatNoSignerTakesFails(t *testing.T) {
	serving := []string{"digital signature", "server auth"}
	tests := []struct {
		name, signer string
		usages       []string
		template     x509.CertificateRequest
		want         string
	}{
		{"wrong organization", clientSigner, clientUsages, x509.CertificateRequest{Subject: pkix.Name{CommonName: "system:node:a"}}, "organization"},
		{"wrong name", clientSigner, clientUsages, x509.CertificateRequest{Subject: pkix.Name{CommonName: "a", Organization: []string{"system:nodes"}}}, "system:node:"},
		{"wrong usage", clientSigner, serving, x509.CertificateRequest{Subject: nodeName}, "usages"},
		{"client with names", clientSigner, clientUsages, x509.CertificateRequest{Subject: nodeName, DNSNames: []string{"a"}}, "not allowed"},
		{"serving of another", servingSigner, serving, x509.CertificateRequest{Subject: nodeName, DNSNames: []string{"a"}}, "requesting node"},
		{"unknown signer", "example.com/x", clientUsages, x509.CertificateRequest{Subject: nodeName}, "no signer"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := testCluster(t)
			_, filed, err := c.as(t, "", "", "POST", requestsPath, signingRequest(t, test.signer, test.usages, &test.template))
			if err != nil {
				t.Fatal(err)
			}
			c.approvePending("Test")
			o, _ := c.store.get(requests, "", filed.Metadata.Name)
			status := parse[requestStatus](o.Status)
			if status.Certificate != nil || !isTrue(status.Conditions, "Failed") || !strings.Contains(string(o.Status), test.want) {
				t.Errorf("status %s, want Failed with %q", o.Status, test.want)
			}
		})
	}
}

func TestAPIRefusesWhatTheRealOneRefuses(t *testing.T) {
	c := testCluster(t)
	node := func(name string) object {
		return object{APIVersion: "v1", Kind: "Node", Metadata: metadata{Name: name}}
	}
	c.store.put(nodes, node("taken"))
	stale := node("taken")
	stale.Metadata.Version = "1"
	request := signingRequest(t, clientSigner, nil, &x509.CertificateRequest{Subject: nodeName})
	tests := []struct {
		name, user, group, method, path string
		body                            any
		code                            int
		want                            string
	}{
		{"bootstrapper makes a node", "", "", "POST", nodesPath, node("a"), 403, `cannot create resource "nodes"`},
		{"node makes another", "system:node:a", "system:nodes", "POST", nodesPath, node("b"), 403, `node "a" is not allowed to modify node "b"`},
		{"node makes itself", "system:node:a", "system:nodes", "POST", nodesPath, node("a"), 201, "<nil>"},
		{"and again", "system:node:a", "system:nodes", "POST", nodesPath, node("a"), 409, `nodes "a" already exists`},
		{"bad name", "system:admin", "system:masters", "POST", nodesPath, node("A_b"), 422, `Node "A_b" is invalid: metadata.name`},
		{"no name", "system:admin", "system:masters", "POST", nodesPath, node(""), 422, "name or generateName is required"},
		{"wrong kind", "system:admin", "system:masters", "POST", nodesPath, object{Kind: "Pod", APIVersion: "v1"}, 400, "cannot be handled as a Node"},
		{"not JSON", "system:admin", "system:masters", "POST", nodesPath, []byte("{"), 400, "unrecognized"},
		{"another name in the path", "system:admin", "system:masters", "PUT", nodesPath + "/x/status", node("taken"), 400, "does not match the name on the URL"},
		{"old version", "system:admin", "system:masters", "PUT", nodesPath + "/taken/status", stale, 409, "has been modified"},
		{"status of nobody", "system:admin", "system:masters", "PUT", nodesPath + "/x/status", node("x"), 404, `nodes "x" not found`},
		{"usages", "", "", "POST", requestsPath, request, 422, "usages must be provided"},
		{"delete", "system:admin", "system:masters", "DELETE", nodesPath + "/taken", nil, 405, "does not allow this method"},
		{"node user outside the group", "system:node:a", "x", "GET", nodesPath, nil, 403, "cannot list"},
		{"namespace where there is none", "system:admin", "system:masters", "GET", "/api/v1/namespaces/x/nodes", nil, 404, "could not find"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			code, _, err := c.as(t, test.user, test.group, test.method, test.path, test.body)
			if code != test.code || !strings.Contains(fmt.Sprint(err), test.want) {
				t.Errorf("%d %v, want %d %q", code, err, test.code, test.want)
			}
		})
	}
}

func TestForeignClientCertificateIsUnauthorized(t *testing.T) {
	c, other := testCluster(t), testCluster(t)
	r := httptest.NewRequest("GET", nodesPath, nil)
	cert, _, err := other.ca.client(pkix.Name{CommonName: "system:admin", Organization: []string{"system:masters"}})
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(cert)
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf}}
	_, _, err = c.rest(r)
	var status *statusError
	if !errors.As(err, &status) || status.Code != http.StatusUnauthorized {
		t.Errorf("error %v", err)
	}
}

func FuzzParsePath(f *testing.F) {
	for _, path := range []string{nodesPath, requestsPath + "/a/approval", "/apis/route.openshift.io/v1/namespaces/x/routes/y", "/api/v1", "//"} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		if q, ok := parsePath(path); ok && q.resource == nil {
			t.Errorf("%q has no resource", path)
		}
	})
}
