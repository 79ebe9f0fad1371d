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
		c, err := openCluster(site, b, Reporter{})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	first, second := open(), open()
	cluster(first).setCompleted()
	if !cluster(first).completed() {
		t.Error("hosts of one installation have not the same etcd")
	}
	if cluster(second).completed() {
		t.Error("a second installation finds the etcd of the first")
	}
}

// What ran on a host whose power is cut runs no more, in whichever cluster.
func TestSiteLosesAHost(t *testing.T) {
	site := NewSite()
	b, err := NewBundle("id", "mycluster", "lab.test", "4.20.3", nil)
	if err != nil {
		t.Fatal(err)
	}
	b.Hosts = []Member{{HostID: "a"}, {HostID: "b"}}
	c, err := openCluster(site, b, Reporter{})
	if err != nil {
		t.Fatal(err)
	}
	c.etcdUp("a")
	c.scheduleRouter("a")
	c.routerRuns("a")
	site.Lost("b")
	if c.quorum() != nil || c.wantRouter() != nil {
		t.Error("the loss of another host matters")
	}
	site.Lost("a")
	if c.quorum() == nil || c.wantRouter() == nil {
		t.Error("etcd and router run on without the host")
	}
}
