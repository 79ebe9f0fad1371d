package node

import (
	"crypto/rand"
	"crypto/x509/pkix"
	"fmt"
	"math/big"

	"go.yaml.in/yaml/v3"
)

// A Bundle is what an installation makes of a cluster: the root of its trust
// and its credentials. The installer service generates it with NewBundle and
// hands it to hosts inside their Ignition configuration.
type Bundle struct {
	ClusterID  string   `json:"cluster_id"`
	Name       string   `json:"name"`   // mycluster
	Domain     string   `json:"domain"` // lab.test
	Release    string   `json:"release"`
	CACert     []byte   `json:"ca_cert"` // PEM
	CAKey      []byte   `json:"ca_key"`  // PEM
	Kubeconfig []byte   `json:"kubeconfig"`
	Password   string   `json:"password"` // kubeadmin
	SSHKeys    []string `json:"ssh_keys"`
	Hosts      []Member `json:"hosts"`
}

// A Member is one host of the cluster as the installation planned it.
type Member struct {
	HostID    string `json:"host_id"`
	Hostname  string `json:"hostname"`
	Role      string `json:"role"` // master, worker
	Bootstrap bool   `json:"bootstrap,omitempty"`
}

// NewBundle makes a cluster's certificate authority, its administrator's
// kubeconfig, whose server is https://api.<name>.<domain>:6443, and the
// password of kubeadmin. The caller adds Hosts.
func NewBundle(clusterID, name, domain, release string, sshKeys []string) (Bundle, error) {
	b := Bundle{ClusterID: clusterID, Name: name, Domain: domain, Release: release, SSHKeys: sshKeys, Password: newPassword()}
	ca, err := newAuthority("root-ca")
	if err != nil {
		return Bundle{}, fmt.Errorf("certificate authority of %s: %w", b.fullName(), err)
	}
	b.CACert, b.CAKey = ca.certPEM, ca.keyPEM
	cert, key, err := ca.client(pkix.Name{CommonName: "system:admin", Organization: []string{"system:masters"}})
	if err != nil {
		return Bundle{}, fmt.Errorf("administrator's certificate of %s: %w", b.fullName(), err)
	}
	b.Kubeconfig, err = b.kubeconfig(cert, key)
	return b, err
}

// fullName is what the cluster's names end in: mycluster.lab.test.
func (b Bundle) fullName() string { return b.Name + "." + b.Domain }

func (b Bundle) kubeconfig(cert, key []byte) ([]byte, error) {
	type object = map[string]any
	return yaml.Marshal(object{
		"apiVersion": "v1", "kind": "Config", "preferences": object{}, "current-context": "admin",
		"clusters": []object{{"name": b.Name, "cluster": object{
			"server": "https://api." + b.fullName() + ":6443", "certificate-authority-data": encode(b.CACert)}}},
		"contexts": []object{{"name": "admin", "context": object{"cluster": b.Name, "user": "admin"}}},
		"users":    []object{{"name": "admin", "user": object{"client-certificate-data": encode(cert), "client-key-data": encode(key)}}},
	})
}

const passwordLetters = "abcdefghijkmnopqrstuvwxyzABCDEFGHIJKLMNPQRSTUVWXYZ23456789"

// newPassword has the installer's form: four groups of five.
func newPassword() string {
	password := make([]byte, 23)
	for i := range password {
		if i%6 == 5 {
			password[i] = '-'
			continue
		}
		n, _ := rand.Int(rand.Reader, big.NewInt(int64(len(passwordLetters)))) // rand.Reader never fails
		password[i] = passwordLetters[n.Int64()]
	}
	return string(password)
}
