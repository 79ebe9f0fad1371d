package main

import (
	"fmt"
	"net"
	"os"
)

// A manager is the service manager that started us, systemd as a rule; nil
// when there is none.
type manager struct{ conn *net.UnixConn }

// findManager connects to the datagram socket that the manager named in the
// environment (sd_notify(3)); a leading @ is an abstract address.
func findManager() (*manager, error) {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return nil, nil
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return nil, fmt.Errorf("socket of the service manager: %w", err)
	}
	return &manager{conn}, nil
}

// tell sends one state. One that is lost is like one that was never sent: the
// manager's timeouts tell.
func (m *manager) tell(state string) {
	if m != nil {
		_, _ = m.conn.Write([]byte(state))
	}
}

func (m *manager) close() {
	if m != nil {
		_ = m.conn.Close()
	}
}
