package loadbalancer

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/slipway-project/slipway/internal/testbed"
)

// BenchmarkBalancers sends the same load through haproxy and through the
// embedded balancer, each in a process of its own whose processor time is
// counted: new connections with a short exchange, and bulk.
func BenchmarkBalancers(b *testing.B) {
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	programs := []struct{ name, path string }{{"haproxy", needHAProxy(b).Path}, {"embedded", self}}
	loads := []struct {
		name    string
		clients int // at the same time, for each processor
		size    int // bytes of an answer
	}{{"connections", 8, 100}, {"bulk", 2, 64 << 20}}
	for _, load := range loads {
		for _, p := range programs {
			b.Run(load.name+"/"+p.name, func(b *testing.B) {
				front, group := runBalancer(b, p.path, load.size)
				b.SetBytes(int64(load.size))
				b.SetParallelism(load.clients)
				before := cpuTime(b, group)
				b.ResetTimer()
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						if err := exchangeWith(front, load.size); err != nil {
							b.Error(err)
						}
					}
				})
				b.StopTimer()
				used := cpuTime(b, group) - before
				b.ReportMetric(float64(used.Microseconds())/float64(b.N), "cpu-us/op")
				b.ReportMetric(used.Seconds()*(1<<30)/float64(b.N)/float64(load.size), "cpu-s/GiB")
			})
		}
	}
}

// runBalancer starts a program as haproxy, before one server that answers each
// byte with so many, and returns its address and process group.
func runBalancer(b *testing.B, program string, size int) (front string, group int) {
	b.Helper()
	n := uint16(rand.UintN(1 << 16))
	at, server := netip.AddrPortFrom(loopback(n, 1), 443), netip.AddrPortFrom(loopback(n, 11), 443)
	answerEach(b, server, size)
	healthy(b, netip.AddrPortFrom(server.Addr(), 1936))
	file := checkable(b, Config{Frontends: []Frontend{{Name: "ingress-https", Bind: at, Check: CheckRouter, Members: []Member{{Name: "worker-0", Address: server}}}}})
	cmd := exec.Command(program, "-W", "-db", "-f", file)
	cmd.Env = append(os.Environ(), asHAProxy+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
	})
	eventually(b, 10*time.Second, func() error { return exchangeWith(at.String(), size) })
	return at.String(), cmd.Process.Pid
}

func answerEach(b *testing.B, at netip.AddrPort, size int) {
	b.Helper()
	chunk := make([]byte, min(size, 1<<20))
	pipeServer(b, at.String(), func(c *net.TCPConn) {
		if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
			return
		}
		for sent := 0; sent < size; sent += len(chunk) {
			if _, err := c.Write(chunk); err != nil {
				return
			}
		}
	})
}

func healthy(b *testing.B, at netip.AddrPort) {
	b.Helper()
	l, err := net.Listen("tcp", at.String())
	if err != nil {
		b.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})}
	go server.Serve(l)
	b.Cleanup(func() { server.Close() })
}

func exchangeWith(front string, size int) error {
	c, err := net.Dial("tcp", front)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.Write([]byte{1}); err != nil {
		return err
	}
	n, err := io.Copy(io.Discard, c)
	if err == nil && n != int64(size) {
		err = fmt.Errorf("%d bytes, want %d", n, size)
	}
	return err
}

// ticks is how many of /proc's units a second has: USER_HZ, 100 on Linux.
const ticks = 100

// cpuTime is what the processes of a group have used (proc_pid_stat(5): pgrp is
// field 5, utime and stime are 14 and 15).
func cpuTime(b *testing.B, group int) time.Duration {
	b.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil || len(files) == 0 {
		testbed.Missing(b, "/proc of Linux")
	}
	used := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		f := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		if f[2] == strconv.Itoa(group) {
			for _, field := range f[11:13] {
				n, _ := strconv.Atoi(field)
				used += n
			}
		}
	}
	return time.Duration(used) * time.Second / ticks
}
