package node

import "testing"

func TestQuorumAndLeader(t *testing.T) {
	c := testCluster(t)
	steps := []struct {
		name   string
		do     func()
		quorum bool
		leader string
	}{
		{"nobody", func() {}, false, ""},
		{"the bootstrap host", func() { c.etcdUp(temporaryID("a")) }, true, "a/bootstrap"},
		{"two join", func() { c.etcdUp("b"); c.etcdUp("c") }, true, "a/bootstrap"},
		{"bootstrap done", func() { c.finishBootstrap("a") }, true, "b"},
		{"its system ends", func() { c.etcdDown(temporaryID("a")) }, true, "b"},
		{"one of two off", func() { c.etcdDown("b") }, false, "c"},
		{"on again", func() { c.etcdUp("b") }, true, "b"},
		{"the third", func() { c.etcdUp("a") }, true, "b"},
		{"the leader off", func() { c.etcdDown("b") }, true, "c"},
	}
	for _, step := range steps {
		step.do()
		if got := c.quorum() == nil; got != step.quorum {
			t.Errorf("%s: quorum %v", step.name, got)
		}
		for _, id := range []string{"a", "a/bootstrap", "b", "c"} {
			if got := c.leads(id); got != (id == step.leader) {
				t.Errorf("%s: %s leads: %v", step.name, id, got)
			}
		}
	}
}

func TestEachInstallationHasItsOwnEtcd(t *testing.T) {
	site := NewSite()
	open := func() Bundle {
		b, err := NewBundle("same", "mycluster", "lab.test", "4.20.3", nil)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	cluster := func(b Bundle) *cluster {
		c, err := site.cluster(b, Reporter{})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	first, second := open(), open()
	one := cluster(first)
	if cluster(first) != one {
		t.Error("hosts of one installation have not the same etcd")
	}
	if cluster(second) == one {
		t.Error("a second installation finds the etcd of the first")
	}
}
