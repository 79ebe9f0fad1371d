package assisted_test

import (
	"net/http"
)

// api makes a request behind the engine's back.
func (w *world) api(method, path string) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.server.URL+"/api/assisted-install/v2"+path, nil)
	w.must(err)
	resp, err := http.DefaultClient.Do(req)
	w.must(err)
	resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		w.t.Fatalf("%s %s: %s", method, path, resp.Status)
	}
}
