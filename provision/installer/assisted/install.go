package assisted

import (
	"context"
	"fmt"
	"net/http"

	"github.com/slipway-project/slipway/provision/installer"
)

// begun are the states of a cluster whose installation has been started.
var begun = map[string]bool{
	"preparing-for-installation": true, "installing": true, "installing-pending-user-action": true,
	"finalizing": true, "installed": true,
}

// Install begins the installation. A refusal or a lost answer is no error
// when the installation has begun all the same.
func (e *Engine) Install(ctx context.Context, ref installer.Ref) error {
	path := "/clusters/" + ref.ClusterID
	err := e.do(ctx, call{method: http.MethodPost, path: path + "/actions/install"}, nil)
	if err == nil {
		return nil
	}
	var c cluster
	if look := e.do(ctx, call{method: http.MethodGet, path: path}, &c); look == nil && begun[c.Status] {
		return nil
	}
	return fmt.Errorf("begin installation: %w", err)
}

// Credentials fetches kubeconfig and password, which exist from the state
// installing on, and the console, which the service knows last.
func (e *Engine) Credentials(ctx context.Context, c installer.Cluster, ref installer.Ref) (installer.Credentials, error) {
	path := "/clusters/" + ref.ClusterID
	var handed installer.Credentials
	var password []byte
	for name, to := range map[string]*[]byte{"kubeconfig": &handed.Kubeconfig, "kubeadmin-password": &password} {
		if err := e.do(ctx, call{method: http.MethodGet, path: path + "/downloads/credentials?file_name=" + name}, to); err != nil {
			return installer.Credentials{}, fmt.Errorf("%s of %s: %w", name, c.FullName(), err)
		}
	}
	handed.Password = string(password)
	var more credentials
	err := e.do(ctx, call{method: http.MethodGet, path: path + "/credentials"}, &more)
	if err != nil && !is(err, http.StatusConflict) { // the console operator has not reported yet
		return installer.Credentials{}, fmt.Errorf("console of %s: %w", c.FullName(), err)
	}
	handed.Console = more.Console
	return handed, nil
}
