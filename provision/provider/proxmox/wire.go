package proxmox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// The API is Perl: numbers may be strings, booleans are 1 and 0, and a string
// of digits may come as a number. These types take all of it.
type (
	number int64
	flag   bool
	text   string
)

func (n *number) UnmarshalJSON(b []byte) error {
	s := strings.Trim(string(b), `"`)
	if s == "null" || s == "" {
		return nil
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return fmt.Errorf("%.40q is not a number", s)
	}
	*n = number(f)
	return nil
}

func (f *flag) UnmarshalJSON(b []byte) error {
	s := strings.Trim(string(b), `"`)
	*f = s == "1" || s == "true"
	return nil
}

func (t *text) UnmarshalJSON(b []byte) error {
	if bytes.HasPrefix(b, []byte(`"`)) {
		return json.Unmarshal(b, (*string)(t))
	}
	if string(b) != "null" {
		*t = text(b)
	}
	return nil
}

// properties splits a property string (virtio=02:..,bridge=vmbr0) into its
// keys; a first part without = is kept under "".
func properties(s text) map[string]string {
	parts := make(map[string]string)
	for part := range strings.SplitSeq(string(s), ",") {
		key, value, ok := strings.Cut(part, "=")
		if !ok {
			key, value = "", part
		}
		if _, twice := parts[key]; !twice {
			parts[key] = value
		}
	}
	return parts
}
