package node

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"mime"
	"net/http"
	"slices"
)

// A metadataPatch is the part of a JSON merge patch (RFC 7386) that is
// simulated: null removes a label.
type metadataPatch struct {
	Metadata struct {
		Labels      map[string]*string `json:"labels"`
		Annotations map[string]*string `json:"annotations"`
	} `json:"metadata"`
}

// mergePatches are the types in which labels and annotations are written the
// same way.
var mergePatches = []string{"application/merge-patch+json", "application/strategic-merge-patch+json"}

// patchNode changes labels and annotations of a node.
func (c *cluster) patchNode(u identity, q query, r *http.Request) (int, any, error) {
	if err := restrict(u, q.name); err != nil {
		return 0, nil, err
	}
	p, err := readPatch(r)
	if err != nil {
		return 0, nil, err
	}
	changed, ok, err := c.store.change(nodes, "", q.name, func(o *object) error {
		o.Metadata.Labels = merge(o.Metadata.Labels, p.Metadata.Labels)
		o.Metadata.Annotations = merge(o.Metadata.Annotations, p.Metadata.Annotations)
		return nil
	})
	if !ok {
		return 0, nil, notFound(nodes, q.name)
	}
	return http.StatusOK, changed, err
}

func readPatch(r *http.Request) (p metadataPatch, err error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || !slices.Contains(mergePatches, kind) {
		return p, failure(http.StatusUnsupportedMediaType, "UnsupportedMediaType", "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json, application/apply-patch+yaml, application/apply-patch+cbor")
	}
	data, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxRequest))
	if err != nil {
		return p, failure(http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", "limit is %d", maxRequest)
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&p); err != nil {
		return p, badRequest("error decoding patch, of which labels and annotations alone are simulated: %v", err)
	}
	return p, nil
}

func merge(old map[string]string, patch map[string]*string) map[string]string {
	merged := maps.Clone(old)
	if merged == nil {
		merged = map[string]string{}
	}
	for name, value := range patch {
		if value == nil {
			delete(merged, name)
		} else {
			merged[name] = *value
		}
	}
	return merged
}
