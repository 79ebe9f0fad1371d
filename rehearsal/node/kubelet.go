package node

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// runKubelet registers the node, keeps it Ready, and runs the pods that belong
// on it.
func (i *installed) runKubelet(ctx context.Context) {
	if i.sleep(kubeletStart) != nil {
		return
	}
	i.setUnit("kubelet", "active", "Started kubelet.service")
	if i.disk.System().static {
		i.spawn(func(context.Context) { i.runStaticPods() })
	}
	api, err := i.join()
	if err != nil {
		return
	}
	i.spawn(func(ctx context.Context) { i.certifyServing(ctx, api) })
	ready := time.Now().Add(i.host.hw.Speed.Scale(nodeReadyTime))
	i.spawn(i.runPods)
	for {
		// An API that is away for a while is nothing a kubelet stops for.
		i.host.stuck(i.postStatus(ctx, api, time.Now().After(ready)))
		timer := time.NewTimer(i.beat(ready))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

// beat is the time until the next heartbeat: at once when the node gets Ready.
func (i *installed) beat(ready time.Time) time.Duration {
	next := max(i.host.hw.Speed.Scale(heartbeat), minHeartbeat)
	if left := time.Until(ready); left > 0 {
		return min(next, left+time.Millisecond)
	}
	return next
}

// join makes the kubelet a client of the cluster and its node a member.
func (i *installed) join() (*apiClient, error) {
	client := i.disk.System().client
	if client == nil {
		err := i.retry(i.ctx, kubeletRetry, func() (err error) {
			client, err = i.certify(i.ctx)
			return err
		})
		if err != nil {
			return nil, err
		}
		if err := i.disk.keep(func(s *System) { s.client = client }); err != nil {
			return nil, err
		}
	}
	api, err := i.apiClient(kubeconfig{server: i.config.bootstrap.server, ca: i.config.bootstrap.ca, client: client})
	if err != nil {
		return nil, err
	}
	return api, i.retry(i.ctx, kubeletRetry, func() error { return i.register(api) })
}

func (i *installed) register(api *apiClient) error {
	err := api.call(i.ctx, http.MethodPost, nodesPath, i.newNode(false), nil)
	var refused *refusal
	if errors.As(err, &refused) && refused.status == http.StatusConflict {
		return nil // it was there before this boot
	}
	return err
}

func (i *installed) nodeUser() pkix.Name {
	return pkix.Name{CommonName: "system:node:" + i.name(), Organization: []string{"system:nodes"}}
}

// certify gets a client certificate in the bootstrapper's name.
func (i *installed) certify(ctx context.Context) (*credential, error) {
	api, err := i.apiClient(i.config.bootstrap)
	if err != nil {
		return nil, err
	}
	defer api.http.CloseIdleConnections()
	return i.request(ctx, api, clientSigner, []string{"digital signature", "client auth"}, &x509.CertificateRequest{Subject: i.nodeUser()})
}

// certifyServing gets the certificate of the kubelet's own port; the node is
// Ready without it, but logs and exec do not work.
func (i *installed) certifyServing(ctx context.Context, api *apiClient) {
	template := &x509.CertificateRequest{Subject: i.nodeUser(), DNSNames: []string{i.name()}}
	for _, a := range i.net.addrs() {
		template.IPAddresses = append(template.IPAddresses, net.IP(a.AsSlice()))
	}
	for ctx.Err() == nil {
		if _, err := i.request(ctx, api, servingSigner, []string{"digital signature", "server auth"}, template); err == nil {
			return
		}
		i.sleep(kubeletRetry)
	}
}

// request files a certificate request and waits for the certificate.
func (i *installed) request(ctx context.Context, api *apiClient, signer string, usages []string, template *x509.CertificateRequest) (*credential, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	encoded, err := newRequest(key, template)
	if err != nil {
		return nil, err
	}
	filed := object{APIVersion: requests.apiVersion(), Kind: requests.kind, Metadata: metadata{GenerateName: "csr-"},
		Spec: raw(requestSpec{Request: encoded, Signer: signer, Usages: usages})}
	if err := api.call(ctx, http.MethodPost, requestsPath, filed, &filed); err != nil {
		return nil, fmt.Errorf("file certificate request: %w", err)
	}
	i.log("kubelet", "Certificate request %s for %s", filed.Metadata.Name, signer)
	cert, err := i.awaitCertificate(ctx, api, filed.Metadata.Name)
	if err != nil {
		return nil, err
	}
	keyPEM, err := encodeKey(key)
	return &credential{cert, keyPEM}, err
}

func newRequest(key crypto.Signer, template *x509.CertificateRequest) ([]byte, error) {
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}), nil
}

// awaitCertificate asks until the request is granted, or refused.
func (i *installed) awaitCertificate(ctx context.Context, api *apiClient, name string) ([]byte, error) {
	for {
		var o object
		if err := api.call(ctx, http.MethodGet, requestsPath+"/"+name, nil, &o); err != nil {
			return nil, fmt.Errorf("look at certificate request: %w", err)
		}
		status := parse[requestStatus](o.Status)
		switch {
		case status.Certificate != nil:
			return status.Certificate, nil
		case isTrue(status.Conditions, "Denied") || isTrue(status.Conditions, "Failed"):
			return nil, fmt.Errorf("certificate request %s was refused", name)
		}
		if parse[requestSpec](o.Spec).Signer == clientSigner {
			i.host.stuck(fmt.Errorf("certificate request %s awaits approval", name))
		}
		if err := i.host.hw.Speed.Wait(ctx, kubeletRetry); err != nil {
			return nil, err
		}
	}
}

func (i *installed) postStatus(ctx context.Context, api *apiClient, ready bool) error {
	return api.call(ctx, http.MethodPut, nodesPath+"/"+i.name()+"/status", i.newNode(ready), nil)
}

// runPods starts, once the node is Ready, what the cluster schedules on it.
func (i *installed) runPods(context.Context) {
	if i.sleep(nodeReadyTime) != nil {
		return
	}
	if i.member.Role == "master" && !i.disk.System().static {
		i.spawn(func(context.Context) {
			if i.sleep(staticPodTime) == nil {
				i.runStaticPods()
			}
		})
	}
	if i.awaitRouter() == nil && i.sleep(routerTime) == nil {
		i.startRouter()
	}
}

// runStaticPods starts the control plane, which from now on starts with the
// kubelet, and the controllers that follow the leader.
func (i *installed) runStaticPods() {
	if _, err := i.startControlPlane(i.ctx, i.cluster, i.member.HostID); err != nil {
		i.host.stuck(err)
		return
	}
	i.host.stuck(i.disk.keep(func(s *System) { s.static = true }))
	i.spawn(i.runController)
	i.spawn(i.runOperators)
}
