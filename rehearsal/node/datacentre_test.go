package node_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/crypto/ssh"

	"github.com/slipway-project/slipway/internal/pace"
	"github.com/slipway-project/slipway/rehearsal/assisted"
	"github.com/slipway-project/slipway/rehearsal/node"
)

const (
	speed        = pace.Pace(200)
	installerURL = "http://192.0.2.9:8090"
	pullSecret   = `{"auths":{"fake":{"auth":"aWQ6cGFzcwo="}}}`
)

// A datacentre is a lab with an installer service and machines.
type datacentre struct {
	*lab
	site   *node.Site
	user   *http.Client // the person at the installer
	signer ssh.Signer
	hosts  []*machine

	clusterID, infraEnvID string
	iso                   string
}

// A machine is one host and what the test knows of it.
type machine struct {
	*node.Host
	name    string // full name
	address string
	role    string
	hw      node.Hardware
}

// newDatacentre has machines with static addresses from 192.0.2.201 on.
func newDatacentre(t testing.TB, controlPlanes, workers int) *datacentre {
	t.Helper()
	d := &datacentre{lab: newLab(t), site: node.NewSite(), signer: newSigner(t)}
	d.startInstaller()
	transport := &http.Transport{DialContext: d.dial}
	t.Cleanup(transport.CloseIdleConnections)
	d.user = &http.Client{Transport: transport}
	names := nameserver{"api." + zone: services, "api-int." + zone: services}
	for i := range controlPlanes + workers {
		m := d.machine(i, i < controlPlanes)
		names[m.name+"."], names[fmt.Sprintf("%d.2.0.192.in-addr.arpa.", 201+i)] = m.address, m.name+"."
	}
	d.serveDNS(names)
	return d
}

func newSigner(t testing.TB) ssh.Signer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

func (d *datacentre) startInstaller() {
	service, err := assisted.New(assisted.Config{URL: installerURL, Dir: d.t.TempDir(), Speed: speed, ImageSize: 1 << 20})
	if err != nil {
		d.t.Fatal(err)
	}
	web := &http.Server{Handler: service, ReadHeaderTimeout: time.Minute}
	l := d.listen("192.0.2.9:8090")
	d.closers.Go(func() { web.Serve(l) })
	d.t.Cleanup(func() { web.Close(); service.Close() })
}

func (d *datacentre) machine(i int, controlPlane bool) *machine {
	m := &machine{name: fmt.Sprintf("worker-%d.mycluster.lab.test", i), role: "worker", address: fmt.Sprintf("192.0.2.%d", 201+i)}
	if controlPlane {
		m.name, m.role = fmt.Sprintf("control-%d.mycluster.lab.test", i), "master"
	}
	m.hw = node.Hardware{
		Name: m.name, UUID: uuid.NewSHA1(uuid.Nil, []byte(m.name)), CPUs: 8, Memory: 16384,
		NICs: []node.NIC{{Name: "enp6s18", MAC: net.HardwareAddr{0x52, 0x54, 0, 0, 0, byte(i)}, Link: &link{lab: d.lab}}},
		Disk: &node.Disk{}, Boot: []string{"disk", "cd"}, Speed: speed,
	}
	d.hosts = append(d.hosts, m)
	return m
}

// powerOn makes the hosts of the machines and switches them on.
func (d *datacentre) powerOn() {
	for _, m := range d.hosts {
		m.Host = node.New(m.hw, d.site)
		d.t.Cleanup(func() { m.Close() })
		if err := m.PowerOn(d.iso); err != nil {
			d.t.Fatal(err)
		}
	}
}

const nmstate = `interfaces:
- name: nic0
  type: ethernet
  state: up
  ipv4:
    enabled: true
    dhcp: false
    address:
    - ip: %s
      prefix-length: 24
routes:
  config:
  - destination: 0.0.0.0/0
    next-hop-address: 192.0.2.1
    next-hop-interface: nic0
dns-resolver:
  config:
    server:
    - 192.0.2.210
`

// register makes cluster and infra env, and downloads the image.
func (d *datacentre) register(controlPlanes int) {
	d.t.Helper()
	var cluster, infraEnv struct {
		ID  string
		URL string `json:"download_url"`
	}
	key := string(ssh.MarshalAuthorizedKey(d.signer.PublicKey()))
	d.call("POST", "/clusters", map[string]any{
		"name": "mycluster", "base_dns_domain": "lab.test", "openshift_version": "4.20.3", "pull_secret": pullSecret, "ssh_public_key": key,
		"platform": map[string]string{"type": "none"}, "user_managed_networking": true, "control_plane_count": controlPlanes,
	}, &cluster)
	var networks []any
	for _, m := range d.hosts {
		networks = append(networks, map[string]any{"network_yaml": fmt.Sprintf(nmstate, m.address),
			"mac_interface_map": []any{map[string]string{"mac_address": m.hw.NICs[0].MAC.String(), "logical_nic_name": "nic0"}}})
	}
	d.call("POST", "/infra-envs", map[string]any{"name": "mycluster", "cluster_id": cluster.ID, "pull_secret": pullSecret,
		"ssh_authorized_key": key, "static_network_config": networks}, &infraEnv)
	d.clusterID, d.infraEnvID = cluster.ID, infraEnv.ID
	d.iso = filepath.Join(d.t.TempDir(), "discovery.iso")
	if err := os.WriteFile(d.iso, d.get(infraEnv.URL), 0o600); err != nil {
		d.t.Fatal(err)
	}
}

func (d *datacentre) get(url string) []byte {
	d.t.Helper()
	reply, err := d.user.Get(url)
	if err != nil {
		d.t.Fatal(err)
	}
	defer reply.Body.Close()
	data, err := io.ReadAll(reply.Body)
	if err != nil || reply.StatusCode != http.StatusOK {
		d.t.Fatalf("GET %s: %s %v: %s", url, reply.Status, err, data)
	}
	return data
}

// call is the user's own call of the installer's API.
func (d *datacentre) call(method, path string, in, out any) {
	d.t.Helper()
	if err := d.try(method, path, in, out); err != nil {
		d.t.Fatal(err)
	}
}

func (d *datacentre) try(method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(data)
	}
	request, err := http.NewRequest(method, installerURL+"/api/assisted-install/v2"+path, body)
	if err != nil {
		return err
	}
	if in != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	reply, err := d.user.Do(request)
	if err != nil {
		return err
	}
	defer reply.Body.Close()
	data, err := io.ReadAll(reply.Body)
	if err != nil || reply.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: %s %v: %s", method, path, reply.Status, err, data)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(data, out)
}

// A listed host is one as the installer has it.
type listed struct {
	ID, Status  string
	Info        string `json:"status_info"`
	Hostname    string `json:"requested_hostname"`
	Inventory   string `json:"inventory"`
	Validations string `json:"validations_info"`
	Progress    struct {
		Stage string `json:"current_stage"`
		Info  string `json:"progress_info"`
	}
}

func (d *datacentre) listed() map[string]listed {
	d.t.Helper()
	var list []listed
	d.call("GET", "/infra-envs/"+d.infraEnvID+"/hosts", nil, &list)
	byID := map[string]listed{}
	for _, h := range list {
		byID[h.ID] = h
	}
	return byID
}

// discover waits until the installer knows every machine, giving roles.
func (d *datacentre) discover() {
	d.t.Helper()
	for _, m := range d.hosts {
		id := m.hw.UUID.String()
		eventually(d.t, 30*time.Second, m.name+" is listed", func() bool { return d.listed()[id].Inventory != "" })
		d.call("PATCH", "/infra-envs/"+d.infraEnvID+"/hosts/"+id, map[string]string{"host_role": m.role, "host_name": m.name}, nil)
	}
	for _, m := range d.hosts {
		d.awaitHost(m, "known")
	}
}

func (d *datacentre) awaitHost(m *machine, status string) {
	d.t.Helper()
	var last listed
	defer func() {
		if d.t.Failed() {
			d.t.Logf("%s: installer: %s (%s) stage %s; console: %s", m.name, last.Status, last.Info, last.Progress.Stage, m.State())
		}
	}()
	eventually(d.t, 60*time.Second, m.name+" is "+status, func() bool {
		last = d.listed()[m.hw.UUID.String()]
		return last.Status == status
	})
}

func (d *datacentre) cluster() (status, info string) {
	d.t.Helper()
	var c struct {
		Status string
		Info   string `json:"status_info"`
	}
	d.call("GET", "/clusters/"+d.clusterID, nil, &c)
	return c.Status, c.Info
}

func (d *datacentre) awaitCluster(status string) {
	d.t.Helper()
	defer func() {
		if d.t.Failed() {
			d.report()
		}
	}()
	eventually(d.t, 60*time.Second, "cluster is "+status, func() bool { got, _ := d.cluster(); return got == status })
}

func (d *datacentre) report() {
	status, info := d.cluster()
	d.t.Logf("cluster: %s: %s", status, info)
	all := d.listed()
	for _, m := range d.hosts {
		h := all[m.hw.UUID.String()]
		d.t.Logf("%s: installer: %s (%s) stage %s; console: %+v", m.name, h.Status, h.Info, h.Progress.Stage, m.State())
	}
}

// ssh runs a script on a machine and returns what it printed, the exit status
// and the host key.
func (d *datacentre) ssh(m *machine, script string) (out string, status int, hostKey string, err error) {
	conn, err := d.dial(context.Background(), "tcp", m.address+":22")
	if err != nil {
		return "", 0, "", err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	config := &ssh.ClientConfig{User: "core", Auth: []ssh.AuthMethod{ssh.PublicKeys(d.signer)},
		HostKeyCallback: func(_ string, _ net.Addr, key ssh.PublicKey) error { hostKey = ssh.FingerprintSHA256(key); return nil }}
	c, channels, requests, err := ssh.NewClientConn(conn, m.address, config)
	if err != nil {
		return "", 0, "", err
	}
	client := ssh.NewClient(c, channels, requests)
	defer client.Close()
	session, err := client.NewSession()
	if err != nil {
		return "", 0, "", err
	}
	defer session.Close()
	var text strings.Builder
	session.Stdout = &text
	err = session.Run(script)
	if exit, ok := err.(*ssh.ExitError); ok {
		status, err = exit.ExitStatus(), nil
	}
	return text.String(), status, hostKey, err
}
