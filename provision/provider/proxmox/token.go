package proxmox

import (
	"errors"
	"regexp"
	"strings"
	"sync"

	pve "github.com/Telmate/proxmox-api-go/proxmox"

	"github.com/slipway-project/slipway/internal/hint"
	"github.com/slipway-project/slipway/internal/secret"
)

// An apiToken is a token taken apart; only its id may be shown.
type apiToken struct {
	id     string // USER@REALM!NAME
	user   string // USER@REALM
	secret string // UUID
}

var errToken = hint.With(
	errors.New("token is not of the form USER@REALM!NAME=UUID"),
	"`pveum user token add USER@REALM NAME` prints both parts: full-tokenid and value")

var tokenSecret = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

func parseToken(s string) (apiToken, error) {
	id, value, ok := strings.Cut(strings.TrimSpace(s), "=")
	var parsed pve.ApiTokenID
	if !ok || !tokenSecret.MatchString(value) || parsed.Parse(id) != nil || parsed.Validate() != nil {
		return apiToken{}, errToken
	}
	return apiToken{id: id, user: parsed.User.String(), secret: value}, nil
}

// firstUse returns a function that reads and parses the token when it is
// first called, and remembers the outcome.
func firstUse(v secret.Value) func() (apiToken, error) {
	return sync.OnceValues(func() (apiToken, error) {
		s, err := v.Reveal()
		if err != nil {
			return apiToken{}, err
		}
		return parseToken(s)
	})
}
