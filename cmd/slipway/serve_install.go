package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/slipway-project/slipway/loadbalancer"
	"github.com/slipway-project/slipway/provision"
	"github.com/slipway-project/slipway/provision/provider"
	"github.com/slipway-project/slipway/provision/services"
	"github.com/slipway-project/slipway/provision/services/install"
)

// startTime is what an installed serve may take to serve its document.
const startTime = time.Minute

// serveInstall makes this very program a service of this host.
func (a *app) serveInstall(ctx context.Context, owner, file string, noFirewall bool) error {
	if owner == "" || file == "" {
		return usage(errors.New("--install takes --owner and --document (- for stdin)"))
	}
	document, err := a.readDocument(file)
	if err != nil {
		return err
	}
	if document.Owner != owner {
		return fmt.Errorf("the document is of %s, not of %s", document.Owner, owner)
	}
	if err := installable(ctx, document); err != nil {
		return err
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	err = install.Host{}.Install(ctx, install.Options{Owner: owner, Program: program, Document: document, NoFirewall: noFirewall})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	if err := services.WaitServed(ctx, install.LayoutOf(owner).RunDir(), document.Serial); err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "%s: document %d is served by %s\n", owner, document.Serial, install.LayoutOf(owner).Unit())
	return nil
}

// installable finds what would keep the document from being served here. That
// haproxy is missing is no reason: it is about to be installed.
func installable(ctx context.Context, d services.Document) error {
	if d.Balancer.Mode == loadbalancer.ModeHAProxy {
		d.Balancer.Mode = loadbalancer.ModeAuto
	}
	var fatal []provider.Problem
	for _, p := range services.Preflight(ctx, d) {
		if p.Fatal {
			fatal = append(fatal, p)
		}
	}
	if len(fatal) > 0 {
		return &provision.PreflightError{Problems: fatal}
	}
	return nil
}

// serveUninstall takes the service away again.
func (a *app) serveUninstall(ctx context.Context, owner string) error {
	if owner == "" {
		return usage(errors.New("--uninstall takes --owner"))
	}
	if err := (install.Host{}).Uninstall(ctx, owner); err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "%s: nothing of its services is left\n", owner)
	return nil
}
