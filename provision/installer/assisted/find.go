package assisted

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/slipway-project/slipway/provision/installer"
	"github.com/slipway-project/slipway/provision/provider"
)

// clusters lists the clusters that owner covers, by id.
func (e *Engine) clusters(ctx context.Context, owner provider.Mark) ([]cluster, error) {
	var all []cluster
	if err := e.do(ctx, call{method: http.MethodGet, path: "/clusters"}, &all); err != nil {
		return nil, err
	}
	owned := slices.DeleteFunc(all, func(c cluster) bool {
		mark, ours := markOf(c)
		return !ours || !owner.Owns(mark)
	})
	slices.SortFunc(owned, func(a, b cluster) int { return strings.Compare(a.ID, b.ID) })
	return owned, nil
}

// Find lists what carries the mark: clusters with their infra envs, and infra
// envs whose cluster is gone.
func (e *Engine) Find(ctx context.Context, owner provider.Mark) ([]installer.Ref, error) {
	clusters, err := e.clusters(ctx, owner)
	if err != nil {
		return nil, fmt.Errorf("find cluster %s: %w", owner.Cluster, err)
	}
	envs, err := e.infraEnvs(ctx, "")
	if err != nil {
		return nil, fmt.Errorf("find infra env of %s: %w", owner.Cluster, err)
	}
	var refs []installer.Ref
	for _, c := range clusters {
		refs = append(refs, refsOf(c, envs)...)
	}
	for _, env := range envs {
		mark, ours := markOfInfraEnv(env.Name)
		listed := slices.ContainsFunc(refs, func(r installer.Ref) bool { return r.InfraEnvID == env.ID })
		if ours && owner.Owns(mark) && !listed {
			refs = append(refs, installer.Ref{InfraEnvID: env.ID})
		}
	}
	return refs, nil
}

func refsOf(c cluster, envs []infraEnv) []installer.Ref {
	var refs []installer.Ref
	for _, env := range envs {
		if env.ClusterID == c.ID {
			refs = append(refs, installer.Ref{ClusterID: c.ID, InfraEnvID: env.ID})
		}
	}
	if len(refs) == 0 {
		refs = append(refs, installer.Ref{ClusterID: c.ID})
	}
	return refs
}

// Remove deletes what carries the mark, ending an installation that runs. The
// service wants the cluster gone first: it takes the hosts with it, and an
// infra env with hosts cannot be deleted.
func (e *Engine) Remove(ctx context.Context, owner provider.Mark) error {
	refs, err := e.Find(ctx, owner)
	if err != nil {
		return err
	}
	var errs []error
	for _, ref := range refs {
		if err := e.remove(ctx, ref); err != nil {
			errs = append(errs, fmt.Errorf("remove %s: %w", owner.Cluster, err))
		}
	}
	return errors.Join(errs...)
}

func (e *Engine) remove(ctx context.Context, ref installer.Ref) error {
	if ref.ClusterID != "" {
		if err := e.removeCluster(ctx, "/clusters/"+ref.ClusterID); err != nil {
			return err
		}
	}
	if ref.InfraEnvID == "" {
		return nil
	}
	return e.removeInfraEnv(ctx, "/infra-envs/"+ref.InfraEnvID)
}

func (e *Engine) removeCluster(ctx context.Context, path string) error {
	var c cluster
	err := e.do(ctx, call{method: http.MethodGet, path: path}, &c)
	if is(err, http.StatusNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if begun[c.Status] && c.Status != "installed" {
		err := e.do(ctx, call{method: http.MethodPost, path: path + "/actions/cancel"}, nil)
		if err != nil && !is(err, http.StatusNotFound, http.StatusConflict) { // ended by itself meanwhile
			return err
		}
	}
	return e.delete(ctx, path)
}

func (e *Engine) removeInfraEnv(ctx context.Context, path string) error {
	err := e.delete(ctx, path)
	if !is(err, http.StatusBadRequest, http.StatusConflict) { // hosts that the cluster did not take along
		return err
	}
	var hosts []host
	if err := e.do(ctx, call{method: http.MethodGet, path: path + "/hosts"}, &hosts); err != nil {
		return err
	}
	for _, h := range hosts {
		if err := e.delete(ctx, path+"/hosts/"+h.ID); err != nil {
			return err
		}
	}
	return e.delete(ctx, path)
}

// delete is no error when the object is gone already.
func (e *Engine) delete(ctx context.Context, path string) error {
	err := e.do(ctx, call{method: http.MethodDelete, path: path}, nil)
	if is(err, http.StatusNotFound) {
		return nil
	}
	return err
}
