package assisted

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/slipway-project/slipway/provision/installer"
)

// fakePullSecret parses and opens nothing: OKD needs no account.
const fakePullSecret = `{"auths":{"fake":{"auth":"aWQ6cGFzcwo="}}}`

// Register makes the cluster and infra env, or finds those that carry the
// mark: a reply that was lost is found by the next call.
func (e *Engine) Register(ctx context.Context, c installer.Cluster) (installer.Ref, error) {
	if c.Mark.ID == "" || c.Mark.Cluster != c.FullName() {
		return installer.Ref{}, fmt.Errorf("register %s: its mark is incomplete", c.FullName())
	}
	pull, err := pullSecret(c)
	if err != nil {
		return installer.Ref{}, err
	}
	owner, err := e.ensureCluster(ctx, c, pull)
	if err != nil {
		return installer.Ref{}, fmt.Errorf("register cluster %s: %w", c.FullName(), err)
	}
	env, err := e.ensureInfraEnv(ctx, c, owner, pull)
	if err != nil {
		return installer.Ref{ClusterID: owner.ID}, fmt.Errorf("register infra env of %s: %w", c.FullName(), err)
	}
	return installer.Ref{ClusterID: owner.ID, InfraEnvID: env.ID}, nil
}

func pullSecret(c installer.Cluster) (string, error) {
	if !c.PullSecret.Set() {
		return fakePullSecret, nil
	}
	pull, err := c.PullSecret.Reveal()
	if err == nil && strings.TrimSpace(pull) == "" {
		err = errors.New("pull secret is empty")
	}
	return strings.TrimSpace(pull), err
}

// secretsIn lists what must not be shown of a pull secret: the whole and the
// credentials in it.
func secretsIn(pull string) []string {
	var parsed struct {
		Auths map[string]struct {
			Auth string `json:"auth"`
		} `json:"auths"`
	}
	secrets := []string{pull}
	if json.Unmarshal([]byte(pull), &parsed) == nil {
		for _, a := range parsed.Auths {
			secrets = append(secrets, a.Auth)
		}
	}
	return secrets
}

func (e *Engine) ensureCluster(ctx context.Context, c installer.Cluster, pull string) (cluster, error) {
	found, err := e.clusters(ctx, c.Mark)
	if err != nil || len(found) > 0 {
		return first(found), err
	}
	version, err := e.version(ctx, c.Release)
	if err != nil {
		return cluster{}, err
	}
	var made cluster
	err = e.do(ctx, call{http.MethodPost, "/clusters", newCluster(c, version, pull), secretsIn(pull)}, &made)
	return made, err
}

func first[T any](list []T) (zero T) {
	if len(list) == 0 {
		return zero
	}
	return list[0]
}

func newCluster(c installer.Cluster, version, pull string) clusterParams {
	controls := 0
	for _, h := range c.Hosts {
		if h.Role == installer.ControlPlane {
			controls++
		}
	}
	return clusterParams{
		Name:                  c.Name,
		OpenshiftVersion:      version,
		PullSecret:            pull,
		BaseDNSDomain:         c.Domain,
		ControlPlaneCount:     controls,
		Platform:              platform{"none"},
		UserManagedNetworking: true,
		SSHPublicKey:          strings.Join(c.SSHKeys, "\n"),
		NTPSource:             strings.Join(c.NTP, ","),
		Tags:                  tags(c.Mark),
	}
}

func (e *Engine) ensureInfraEnv(ctx context.Context, c installer.Cluster, owner cluster, pull string) (infraEnv, error) {
	found, err := e.infraEnvs(ctx, owner.ID)
	if err != nil || len(found) > 0 {
		return first(found), err
	}
	networks, err := staticNetworks(c)
	if err != nil {
		return infraEnv{}, err
	}
	var made infraEnv
	err = e.do(ctx, call{http.MethodPost, "/infra-envs", infraEnvParams{
		Name:             infraEnvName(c.Mark),
		ClusterID:        owner.ID,
		OpenshiftVersion: owner.OpenshiftVersion,
		PullSecret:       pull,
		ImageType:        "minimal-iso",
		SSHAuthorizedKey: strings.Join(c.SSHKeys, "\n"),
		NTPSources:       strings.Join(c.NTP, ","),
		StaticNetwork:    networks,
	}, secretsIn(pull)}, &made)
	return made, err
}

// infraEnvs lists the infra envs of a cluster; of all with "".
func (e *Engine) infraEnvs(ctx context.Context, clusterID string) ([]infraEnv, error) {
	path := "/infra-envs"
	if clusterID != "" {
		path += "?cluster_id=" + url.QueryEscape(clusterID)
	}
	var list []infraEnv
	err := e.do(ctx, call{method: http.MethodGet, path: path}, &list)
	return list, err
}
