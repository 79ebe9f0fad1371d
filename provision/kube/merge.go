package kube

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"
)

// The lists of a kubeconfig, and what the entries of each hold.
var lists = [][2]string{{"clusters", "cluster"}, {"contexts", "context"}, {"users", "user"}}

const contextsList = 1

// Merge adds the current context of the kubeconfig from to the one in into,
// which may be empty: as cluster, user and context of the given name, which
// becomes the current one. Entries of that name are replaced, all others and
// comments are kept. An entry of that name for another server is an error, and
// so is a file that is no kubeconfig; it names the line. Errors never contain
// file content.
func Merge(into, from []byte, name string) ([]byte, error) {
	doc, err := open(into)
	if err != nil {
		return nil, err
	}
	entries, err := current(from, name)
	if err != nil {
		return nil, err
	}
	if err := doc.sameServer(name, entries[0]); err != nil {
		return nil, err
	}
	for i, list := range lists {
		doc.put(list[0], name, entries[i])
	}
	doc.set("current-context", &yaml.Node{Kind: yaml.ScalarNode, Value: name})
	merged, err := doc.bytes()
	if _, unusable := Parse(merged); err == nil && unusable != nil {
		return nil, &FileError{0, "it holds YAML that kubeconfigs do not have"}
	}
	return merged, err
}

// Unmerge takes what [Merge] added out again; ok is false when there was
// nothing.
func Unmerge(from []byte, name string) (rest []byte, ok bool, err error) {
	doc, err := open(from)
	if err != nil {
		return nil, false, err
	}
	for _, list := range lists {
		ok = doc.drop(list[0], name) || ok
	}
	if doc.text("current-context") == name {
		doc.set("current-context", &yaml.Node{Kind: yaml.ScalarNode, Style: yaml.DoubleQuotedStyle})
		ok = true
	}
	if !ok {
		return from, false, nil
	}
	rest, err = doc.bytes()
	return rest, true, err
}

// HasContext reports whether a kubeconfig has a context of that name.
func HasContext(data []byte, name string) bool {
	doc, err := open(data)
	return err == nil && find(doc.list(lists[contextsList][0]), name) >= 0
}

// A FileError says where a kubeconfig is not what it should be.
type FileError struct {
	Line int // 0: not known
	What string
}

func (e *FileError) Error() string { return e.What }

// A document is a kubeconfig as YAML, with its comments.
type document struct{ root *yaml.Node }

func open(data []byte) (document, error) {
	var file yaml.Node
	if err := yaml.Unmarshal(data, &file); err != nil {
		return document{}, &FileError{lineOf(err), "it is not YAML"}
	}
	if file.Kind == 0 { // empty, or comments alone
		file = yaml.Node{Kind: yaml.DocumentNode, Content: []*yaml.Node{{Kind: yaml.MappingNode, Tag: "!!map"}}}
	}
	doc := document{file.Content[0]}
	if doc.root.Kind == yaml.ScalarNode && doc.root.Tag == "!!null" {
		doc.root = &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	}
	if doc.root.Kind != yaml.MappingNode {
		return document{}, &FileError{doc.root.Line, "it is no kubeconfig: it has no keys"}
	}
	return doc, doc.check()
}

// lineOf reads the line out of an error of the YAML package, which has no
// field for it.
func lineOf(err error) (line int) {
	if _, scanErr := fmt.Sscanf(err.Error(), "yaml: line %d:", &line); scanErr != nil {
		return 0
	}
	return line
}

// check refuses lists that are none, and entries without a name: to write into
// them would be to destroy what somebody meant.
func (d document) check() error {
	for _, list := range lists {
		node := d.get(list[0])
		if node == nil || node.Tag == "!!null" {
			continue
		}
		if node.Kind != yaml.SequenceNode {
			return &FileError{node.Line, list[0] + " is not a list"}
		}
		for _, entry := range node.Content {
			if entry.Kind != yaml.MappingNode || (document{entry}).text("name") == "" {
				return &FileError{entry.Line, "an entry of " + list[0] + " has no name"}
			}
		}
	}
	return nil
}

func (d document) get(key string) *yaml.Node {
	for i := 0; i+1 < len(d.root.Content); i += 2 {
		if d.root.Content[i].Value == key {
			return d.root.Content[i+1]
		}
	}
	return nil
}

func (d document) text(key string) string {
	if node := d.get(key); node != nil && node.Kind == yaml.ScalarNode {
		return node.Value
	}
	return ""
}

func (d document) set(key string, value *yaml.Node) {
	if node := d.get(key); node != nil {
		value.LineComment, value.FootComment, value.HeadComment = node.LineComment, node.FootComment, node.HeadComment
		*node = *value
		return
	}
	d.root.Content = append(d.root.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: key}, value)
}

// list returns a list, nil when there is none.
func (d document) list(key string) *yaml.Node {
	if node := d.get(key); node != nil && node.Kind == yaml.SequenceNode {
		return node
	}
	return nil
}

func find(list *yaml.Node, name string) int {
	if list == nil {
		return -1
	}
	return slices.IndexFunc(list.Content, func(e *yaml.Node) bool { return document{e}.text("name") == name })
}

func (d document) put(key, name string, entry *yaml.Node) {
	list := d.list(key)
	if list == nil || list.Style == yaml.FlowStyle && len(list.Content) == 0 {
		list = &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		d.set(key, list)
		list = d.list(key)
	}
	if i := find(list, name); i >= 0 {
		list.Content[i] = entry
		return
	}
	list.Content = append(list.Content, entry)
}

func (d document) drop(key, name string) bool {
	list := d.list(key)
	i := find(list, name)
	if i < 0 {
		return false
	}
	list.Content = slices.Delete(list.Content, i, i+1)
	return true
}

// sameServer refuses to replace an entry that leads to another server.
func (d document) sameServer(name string, entry *yaml.Node) error {
	list := d.list(lists[0][0])
	i := find(list, name)
	if i < 0 {
		return nil
	}
	was, now := serverOf(list.Content[i]), serverOf(entry)
	if was != now {
		return &FileError{list.Content[i].Line, fmt.Sprintf("cluster %s is another one, at %s", name, was)}
	}
	return nil
}

func serverOf(entry *yaml.Node) string {
	cluster := document{entry}.get("cluster")
	if cluster == nil || cluster.Kind != yaml.MappingNode {
		return ""
	}
	return document{cluster}.text("server")
}

// current makes the entries of [lists] out of the current context.
func current(data []byte, name string) ([]*yaml.Node, error) {
	var raw rawConfig
	var file map[string][]map[string]yaml.Node
	if _, err := Parse(data); err != nil {
		return nil, err
	}
	_ = yaml.Unmarshal(data, &raw) // Parse has read it
	cluster, user, err := raw.names()
	if err != nil {
		return nil, err
	}
	_ = yaml.Unmarshal(data, &file) // the other keys hold no lists
	entries := make([]*yaml.Node, len(lists))
	for i, wanted := range []string{cluster, raw.CurrentContext, user} {
		if entries[i], err = renamed(file[lists[i][0]], lists[i][1], wanted, name); err != nil {
			return nil, err
		}
	}
	return entries, refer(entries[contextsList], name)
}

func renamed(list []map[string]yaml.Node, kind, wanted, name string) (*yaml.Node, error) {
	for _, e := range list {
		body := e[kind]
		if label := e["name"]; label.Value == wanted && body.Kind == yaml.MappingNode {
			return &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Content: []*yaml.Node{
				{Kind: yaml.ScalarNode, Value: kind}, &body, {Kind: yaml.ScalarNode, Value: "name"}, {Kind: yaml.ScalarNode, Value: name},
			}}, nil
		}
	}
	return nil, fmt.Errorf("kubeconfig has no %s %q", kind, wanted)
}

// refer points a context at the renamed cluster and user.
func refer(context *yaml.Node, name string) error {
	body := document{context}.get("context")
	if body == nil {
		return errors.New("kubeconfig: context is empty")
	}
	for _, key := range []string{"cluster", "user"} {
		document{body}.set(key, &yaml.Node{Kind: yaml.ScalarNode, Value: name})
	}
	return nil
}

// bytes writes the document as kubectl does: two blanks, lists not indented.
func (d document) bytes() ([]byte, error) {
	for _, key := range [][2]string{{"apiVersion", "v1"}, {"kind", "Config"}} {
		if d.get(key[0]) == nil {
			d.set(key[0], &yaml.Node{Kind: yaml.ScalarNode, Value: key[1]})
		}
	}
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	enc.CompactSeqIndent()
	if err := enc.Encode(d.root); err != nil {
		return nil, errors.New("kubeconfig cannot be written as YAML")
	}
	return b.Bytes(), enc.Close()
}
