package services

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

const maxMetrics = 1 << 20 // bytes

// Metrics returns the DNS counters of the serve process that has the run
// directory, as OpenMetrics text.
func Metrics(ctx context.Context, runDir string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	text, err := fetch(ctx, socketPath(runDir), "/metrics")
	if err != nil {
		return nil, fmt.Errorf("ask slipway serve: %w", err)
	}
	return text, nil
}

func fetch(ctx context.Context, socket, path string) ([]byte, error) {
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://serve"+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, errors.New(resp.Status)
	}
	return io.ReadAll(io.LimitReader(resp.Body, maxMetrics))
}
