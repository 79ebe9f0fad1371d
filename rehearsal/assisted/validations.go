package assisted

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// A row is one validation's result.
type row struct {
	ID      string `json:"id"`
	Status  string `json:"status"`
	Message string `json:"message"`
}

// Results of a validation.
const (
	success = "success"
	failure = "failure"
	pending = "pending"
	broken  = "error"
)

// A table is the result of all validations by category.
type table map[string][]row

func (t table) add(category, id, status, message string) {
	t[category] = append(t[category], row{id, status, message})
}

// check adds a row that is either success or failure.
func (t table) check(category, id string, ok bool, good, bad string) {
	if ok {
		t.add(category, id, success, good)
		return
	}
	t.add(category, id, failure, bad)
}

// ok reports whether every one of ids succeeded.
func (t table) ok(ids ...string) bool {
	for _, rows := range t {
		for _, r := range rows {
			if slices.Contains(ids, r.ID) && r.Status != success {
				return false
			}
		}
	}
	return true
}

// failing joins the messages of failed rows, as status_info does.
func (t table) failing() string {
	var messages []string
	for _, category := range slices.Sorted(maps.Keys(t)) {
		for _, r := range t[category] {
			if r.Status == failure {
				messages = append(messages, r.Message)
			}
		}
	}
	return strings.Join(messages, " ; ")
}

func (t table) encode() string {
	text, err := json.Marshal(t)
	if err != nil {
		panic("assisted: validations do not encode: " + err.Error())
	}
	return string(text)
}
