package media

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"path"
	"slices"

	"github.com/slipway-project/slipway/internal/hint"
)

// Debian is the image that is used when none is named: Debian 12 for virtual
// machines of clouds, with cloud-init. Its checksum is published beside it.
const Debian = "https://cloud.debian.org/images/cloud/bookworm/latest/debian-12-genericcloud-amd64.qcow2"

// A Source is where a disk image comes from.
type Source struct {
	URL    string // of a file that ends in .qcow2, .img or .raw
	SHA256 string // hex; "": a file SHA512SUMS is beside it, and the URL is an https one
}

// String is the URL without what may be secret in it.
func (s Source) String() string {
	u, err := url.Parse(s.URL)
	if err != nil {
		return "whose URL is none"
	}
	u.User, u.RawQuery = nil, ""
	return u.String()
}

// kinds are the endings of names of disk images that are not compressed.
var kinds = []string{".qcow2", ".img", ".raw"}

// parse checks s.
func (s Source) parse() (*url.URL, error) {
	u, err := url.Parse(s.URL)
	sum, bad := hex.DecodeString(s.SHA256)
	switch {
	case err != nil:
		return nil, errors.Unwrap(err) // without the URL
	case u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return nil, fmt.Errorf("%q is not the URL of an image", s.String())
	case !slices.Contains(kinds, path.Ext(u.Path)):
		return nil, hint.With(fmt.Errorf("%s is not a disk image by its name", path.Base(u.Path)), "name one that ends in .qcow2, .img or .raw; others are compressed or of another kind")
	case bad != nil || len(sum) != 0 && len(sum) != 32:
		return nil, fmt.Errorf("%q is not a SHA-256 digest", s.SHA256)
	case s.SHA256 == "" && u.Scheme != "https":
		return nil, hint.With(errors.New("without a digest the image must come over https"), "write sha256 beside its url")
	}
	return u, nil
}
