package services

import (
	"strings"
	"testing"
)

func TestMetricsAreFetched(t *testing.T) {
	s := startServe(t, local(newOwner()))
	text, err := Metrics(t.Context(), s.RunDir)
	if err != nil || !strings.HasSuffix(string(text), "# EOF\n") {
		t.Errorf("%q, %v", text, err)
	}
}

func TestNoMetricsWithoutServe(t *testing.T) {
	if _, err := Metrics(t.Context(), t.TempDir()); err == nil || !strings.HasPrefix(err.Error(), "ask slipway serve: ") {
		t.Errorf("error %v", err)
	}
}
