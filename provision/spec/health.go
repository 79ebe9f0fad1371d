package spec

import (
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

type rawCheck struct {
	Label      string         `hcl:"name,label"`
	LabelRange hcl.Range      `hcl:"name,label_range"`
	Range      hcl.Range      `hcl:",def_range"`
	Get        *hcl.Attribute `hcl:"get,optional"`
	Status     *hcl.Attribute `hcl:"status,optional"`
	Within     *hcl.Attribute `hcl:"within,optional"`
}

// What a check asks for when the spec does not say.
const (
	defaultStatus = 200
	defaultWithin = 10 * time.Minute
)

// selfObject is what self means in a check block.
func selfObject(name, domain string) cty.Value {
	fqdn, domainValue := cty.UnknownVal(cty.String), cty.UnknownVal(cty.String)
	if domain != "" {
		fqdn, domainValue = cty.StringVal(name+"."+domain), cty.StringVal(domain)
	}
	return cty.ObjectVal(map[string]cty.Value{"name": cty.StringVal(name), "domain": domainValue, "fqdn": fqdn})
}

func (l *loader) checkBlocks(c *cluster) {
	first := map[string]hcl.Range{}
	for _, raw := range c.raw.Checks {
		if at, there := first[raw.Label]; there {
			l.errorf(raw.Range, "Duplicate block", "There is a check %q already, at %s. Give this one another label.", raw.Label, at)
			continue
		}
		first[raw.Label] = raw.Range
		l.in(child(l.ctx, "self", selfObject(c.Name, c.Domain)), func() {
			c.Checks = append(c.Checks, l.checkBlock(raw))
		})
	}
}

func (l *loader) checkBlock(raw rawCheck) Check {
	check := Check{Label: raw.Label, Status: defaultStatus, Within: defaultWithin, Range: raw.Range}
	if !l.missing(raw.Get, raw.Range, "get", checkExample) {
		check.Get, _ = l.url(raw.Get)
	}
	if status, ok := l.integer(raw.Status, 100, 599, "200"); ok {
		check.Status = status
	}
	if within, ok := l.duration(raw.Within, `"10m"`); ok {
		check.Within = within
	}
	return check
}

const checkExample = `"https://console-openshift-console.apps.${self.fqdn}"`

func (l *loader) url(a *hcl.Attribute) (string, bool) {
	text, ok := l.text(a, checkExample)
	if !ok {
		return "", false
	}
	u, err := url.Parse(text)
	switch {
	case err == nil && u.User != nil:
		l.errorf(a.Expr.Range(), "Invalid URL", "The URL has a user or password in it, which everybody would see. Write one that needs neither.")
		l.diags[len(l.diags)-1].Extra = hidden{}
	case err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https":
		l.errorf(a.Expr.Range(), "Invalid URL", "%q is not an http or https URL. Write one such as %s = %s.", text, a.Name, checkExample)
	default:
		return text, true
	}
	return "", false
}

const maxDuration = 10 * 365 * 24 * time.Hour

// duration reads a Go duration, which may begin with days: "7d", "1d12h".
func (l *loader) duration(a *hcl.Attribute, example string) (time.Duration, bool) {
	text, ok := l.text(a, example)
	if !ok {
		return 0, false
	}
	d, err := parseDuration(text)
	if err != nil || d <= 0 || d > maxDuration {
		l.errorf(a.Expr.Range(), "Invalid duration", "%q is not a duration of at most ten years. Write a number and its unit, d, h, m or s, such as %s.", text, assign(a, example))
		return 0, false
	}
	return d, true
}

var days = regexp.MustCompile(`^([0-9]{1,5})d(.*)$`)

func parseDuration(text string) (time.Duration, error) {
	parts := days.FindStringSubmatch(text)
	if parts == nil {
		return time.ParseDuration(text)
	}
	n, err := strconv.Atoi(parts[1])
	if err != nil || parts[2] == "" {
		return time.Duration(n) * 24 * time.Hour, err
	}
	rest, err := time.ParseDuration(parts[2])
	if err == nil && (rest < 0 || rest >= 24*time.Hour*maxCount) {
		err = fmt.Errorf("duration %q", text)
	}
	return time.Duration(n)*24*time.Hour + rest, err
}
