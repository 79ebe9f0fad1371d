package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
)

const nodePath = "/api/v1/nodes/"

// Labels reads the labels of a node (GET /api/v1/nodes/NAME).
func (c *Client) Labels(ctx context.Context, node string) (map[string]string, error) {
	raw, ok, err := object[rawNode](ctx, c, nodePath+url.PathEscape(node))
	if err == nil && !ok {
		err = fmt.Errorf("the cluster has no node %s", node)
	}
	return raw.Metadata.Labels, err
}

// Label sets labels of a node; those it does not name stay (a JSON merge
// patch, RFC 7386, by PATCH /api/v1/nodes/NAME).
func (c *Client) Label(ctx context.Context, node string, labels map[string]string) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"labels": labels}})
	if err != nil {
		return err
	}
	_, err = c.call(ctx, http.MethodPatch, nodePath+url.PathEscape(node), nil, patch)
	return err
}

// IngressCA is the PEM bundle by which the cluster's default ingress signs,
// the console's among others; nil while the ingress operator has not
// published it (GET the ConfigMap openshift-config-managed/default-ingress-cert).
func (c *Client) IngressCA(ctx context.Context) ([]byte, error) {
	bundle, _, err := object[struct{ Data map[string]string }](ctx, c, "/api/v1/namespaces/openshift-config-managed/configmaps/default-ingress-cert")
	if err != nil || bundle.Data["ca-bundle.crt"] == "" {
		return nil, err
	}
	return []byte(bundle.Data["ca-bundle.crt"]), nil
}
