package node

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// The signers of kubelets' certificates (certificates.k8s.io/v1).
const (
	clientSigner  = "kubernetes.io/kube-apiserver-client-kubelet"
	servingSigner = "kubernetes.io/kubelet-serving"
)

type requestSpec struct {
	Request  []byte   `json:"request"` // PEM
	Signer   string   `json:"signerName"`
	Expires  *int32   `json:"expirationSeconds,omitempty"`
	Usages   []string `json:"usages"`
	Username string   `json:"username,omitempty"`
	Groups   []string `json:"groups,omitempty"`
}

type requestStatus struct {
	Conditions  []condition `json:"conditions,omitempty"`
	Certificate []byte      `json:"certificate,omitempty"` // PEM
}

// createRequest files a certificate signing request in the name of its sender.
func (c *cluster) createRequest(u identity, r *http.Request) (int, any, error) {
	o, err := readObject(query{resource: requests}, r)
	if err != nil {
		return 0, nil, err
	}
	if prefix := o.Metadata.GenerateName; o.Metadata.Name == "" && prefix != "" {
		o.Metadata.Name = prefix + strings.ToLower(rand.Text()[:5])
	}
	if err := checkName(requests, o.Metadata.Name); err != nil {
		return 0, nil, err
	}
	spec := parse[requestSpec](o.Spec)
	if err := spec.check(o.Metadata.Name); err != nil {
		return 0, nil, err
	}
	spec.Username, spec.Groups = u.name, u.groups
	o.Spec, o.Status = raw(spec), raw(requestStatus{})
	created, ok := c.store.create(requests, o)
	if !ok {
		return 0, nil, alreadyExists(requests, o.Metadata.Name)
	}
	return http.StatusCreated, created, nil
}

func (s requestSpec) check(name string) error {
	switch {
	case len(s.Usages) == 0:
		return invalid(requests, name, "spec.usages: Required value: usages must be provided")
	case !strings.Contains(s.Signer, "/"):
		return invalid(requests, name, "spec.signerName: Invalid value: %q: must be a fully qualified domain and path of the form 'example.com/signer-name'", s.Signer)
	}
	if _, err := s.parse(); err != nil {
		return invalid(requests, name, "spec.request: Invalid value: %v", err)
	}
	return nil
}

func (s requestSpec) parse() (*x509.CertificateRequest, error) {
	block, _ := pem.Decode(s.Request)
	if block == nil || block.Type != "CERTIFICATE REQUEST" {
		return nil, errors.New("PEM block type must be CERTIFICATE REQUEST")
	}
	request, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, err
	}
	return request, request.CheckSignature()
}

// decideRequest takes the decision out of the conditions of the object that
// was sent (PUT .../approval), and signs what was approved.
func (c *cluster) decideRequest(q query, r *http.Request) (int, any, error) {
	sent, err := readObject(q, r)
	if err != nil {
		return 0, nil, err
	}
	conditions := parse[requestStatus](sent.Status).Conditions
	for _, d := range conditions {
		if (d.Type == "Approved" || d.Type == "Denied") && d.Status != "True" {
			return 0, nil, invalid(requests, q.name, "status.conditions.status: Invalid value: %q: must be True for Approved and Denied conditions", d.Status)
		}
	}
	o, ok, err := c.store.change(requests, "", q.name, func(o *object) error {
		if v := sent.Metadata.Version; v != "" && v != o.Metadata.Version {
			return conflict(requests, q.name)
		}
		return c.decide(o, conditions)
	})
	if !ok {
		return 0, nil, notFound(requests, q.name)
	}
	return http.StatusOK, o, err
}

// decide adds conditions to a request; a decision cannot be taken back.
func (c *cluster) decide(o *object, conditions []condition) error {
	status := parse[requestStatus](o.Status)
	for _, d := range conditions {
		status.Conditions = transition(status.Conditions, d)
	}
	if isTrue(status.Conditions, "Approved") && isTrue(status.Conditions, "Denied") {
		return invalid(requests, o.Metadata.Name, "status.conditions: Invalid value: Approved and Denied conditions are mutually exclusive")
	}
	if isTrue(status.Conditions, "Approved") && status.Certificate == nil {
		c.signRequest(o, &status)
	}
	o.Status = raw(status)
	return nil
}

// signRequest is the signer in kube-controller-manager.
func (c *cluster) signRequest(o *object, status *requestStatus) {
	spec := parse[requestSpec](o.Spec)
	certificate, err := c.issue(spec)
	if err != nil {
		status.Conditions = transition(status.Conditions, condition{Type: "Failed", Status: "True", Reason: "SignerValidationFailure", Message: err.Error(), Update: now()})
		return
	}
	status.Certificate = certificate
}

func (c *cluster) issue(spec requestSpec) ([]byte, error) {
	request, err := spec.parse()
	if err != nil {
		return nil, err
	}
	if err := spec.checkSigner(request); err != nil {
		return nil, err
	}
	template := certificate(request.Subject, servingLife)
	template.DNSNames, template.IPAddresses = request.DNSNames, request.IPAddresses
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	if spec.Signer == servingSigner {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	}
	return c.ca.sign(template, request.PublicKey)
}

// checkSigner holds the rules of the two kubelet signers (Kubernetes
// documentation, "Kubernetes signers").
func (s requestSpec) checkSigner(r *x509.CertificateRequest) error {
	names := len(r.DNSNames) + len(r.IPAddresses)
	allowed, need := []string{"key encipherment", "digital signature", "client auth"}, "client auth"
	if s.Signer == servingSigner {
		allowed, need = []string{"key encipherment", "digital signature", "server auth"}, "server auth"
	}
	foreign := slices.ContainsFunc(s.Usages, func(u string) bool { return !slices.Contains(allowed, u) })
	switch {
	case s.Signer != clientSigner && s.Signer != servingSigner:
		return fmt.Errorf("no signer answers to %q", s.Signer)
	case !slices.Equal(r.Subject.Organization, []string{"system:nodes"}):
		return errors.New("organization is not system:nodes")
	case !strings.HasPrefix(r.Subject.CommonName, "system:node:"):
		return errors.New("subject common name has not the prefix system:node: of nodes")
	case foreign || !slices.Contains(s.Usages, need):
		return errors.New("usages did not match")
	case len(r.EmailAddresses)+len(r.URIs) > 0 || s.Signer == clientSigner && names > 0:
		return errors.New("subject alternative names are not allowed")
	case s.Signer == servingSigner && (names == 0 || s.Username != r.Subject.CommonName):
		return errors.New("DNS or IP subjectAltName of the requesting node is required")
	}
	return nil
}

// approvePending approves every request that nobody has decided, unchecked, as
// the installer's controller does during an installation and only then.
func (c *cluster) approvePending(reason string) {
	for _, o := range c.store.all(requests) {
		if len(parse[requestStatus](o.Status).Conditions) > 0 {
			continue
		}
		c.store.change(requests, "", o.Metadata.Name, func(o *object) error {
			return c.decide(o, []condition{{Type: "Approved", Status: "True", Reason: reason, Message: "This CSR was approved by the assisted-installer-controller", Update: now()}})
		})
	}
}
