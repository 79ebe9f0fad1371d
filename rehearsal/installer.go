package rehearsal

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/slipway-project/slipway/rehearsal/assisted"
)

// An installer is a simulated assisted service behind its web server.
type installer struct {
	InstallerConfig
	service *assisted.Service
	web     *http.Server
}

func (w *World) startInstallers() error {
	for i, c := range w.cfg.Installers {
		if err := w.startInstaller(i, c); err != nil {
			return fmt.Errorf("installer %s: %w", c.URL, err)
		}
	}
	return nil
}

func (w *World) startInstaller(i int, c InstallerConfig) error {
	name := "installer-" + strconv.Itoa(i)
	place := w.layout.endpoints[c.URL]
	image, err := w.imageWriter(place)
	if err != nil {
		return err
	}
	service, err := assisted.New(assisted.Config{URL: c.URL, Token: c.Token, Dir: w.path(name), Speed: w.cfg.Speed, Limits: w.cfg.pace(), Offer: c.Releases, Image: image})
	if err != nil {
		return err
	}
	in := &installer{c, service, &http.Server{
		Handler: service, ReadHeaderTimeout: 30 * time.Second, ErrorLog: log.New(io.Discard, "", 0),
	}}
	w.later(in.close)
	l, err := w.listen(place)
	if err != nil {
		return err
	}
	l, trust, err := w.secure(l, name, place)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	w.serve("installer "+c.URL, func() error { return in.web.Serve(l) })
	w.installers = append(w.installers, in)
	w.ready.Endpoints[c.URL] = trust
	return w.keepToken(name, c)
}

// secure wraps the listener of an https endpoint and says how to trust it.
func (w *World) secure(l net.Listener, name string, place endpoint) (net.Listener, Endpoint, error) {
	trust := Endpoint{Address: place.at}
	if place.scheme != "https" {
		return l, trust, nil
	}
	id, err := newIdentity(place.host)
	if err != nil {
		return l, trust, fmt.Errorf("make certificate: %w", err)
	}
	trust.Fingerprint, trust.CA = id.fingerprint(), w.path(name+"-ca.pem")
	return tls.NewListener(l, id.config()), trust, os.WriteFile(trust.CA, id.ca, 0o644)
}

func (w *World) keepToken(name string, c InstallerConfig) error {
	if c.Token == "" {
		return nil
	}
	e := w.ready.Endpoints[c.URL]
	e.TokenFile = w.path(name + "-token")
	w.ready.Endpoints[c.URL] = e
	return os.WriteFile(e.TokenFile, []byte(c.Token+"\n"), 0o600)
}

// close lets requests end before the service does; the machines, which make
// most of them, are off by now.
func (in *installer) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if in.web.Shutdown(ctx) != nil {
		in.web.Close()
	}
	return in.service.Close()
}
