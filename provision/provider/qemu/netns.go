package qemu

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/slipway-project/slipway/provision/provider"
)

// netSocket is where a holder answers, in the run directory.
const netSocket = "net.sock"

// The way out of a private network is a user network of QEMU, with the
// addresses that it has everywhere.
var (
	uplinkNet  = netip.MustParsePrefix("10.0.2.0/24")
	uplinkOwn  = netip.MustParsePrefix("10.0.2.15/24")
	uplinkHost = netip.MustParseAddr("10.0.2.2") // and this host's loopback
	uplinkDNS  = netip.MustParseAddr("10.0.2.3") // the host's DNS servers
)

// A netRequest asks for a tap, for the way out, or for segments.
type netRequest struct {
	Tap      string             `json:"tap,omitempty"`
	NIC      provider.NIC       `json:"nic,omitzero"`
	Uplink   bool               `json:"uplink,omitempty"`
	Segments []provider.Segment `json:"segments,omitempty"`
}

// A netReply may be accompanied by a descriptor.
type netReply struct {
	Error string   `json:"error,omitempty"`
	Enter []string `json:"enter"`
}

// mostRequest is the size of the largest packet: a reservation is 100 bytes.
const mostRequest = 1 << 17

// askHolder sends one request to the holder of the network.
func askHolder(ctx context.Context, runDir string, request netRequest) (netReply, *os.File, error) {
	path := filepath.Join(runDir, netSocket)
	dialed, err := new(net.Dialer).DialContext(ctx, "unixpacket", path)
	if err != nil {
		return netReply{}, nil, err
	}
	defer dialed.Close()
	stop := context.AfterFunc(ctx, func() { dialed.Close() })
	defer stop()
	conn := dialed.(*net.UnixConn)
	if err := send(conn, request, nil); err != nil {
		return netReply{}, nil, err
	}
	var reply netReply
	file, err := receive(conn, &reply)
	if err == nil && reply.Error != "" {
		err = errors.New(reply.Error)
	}
	return reply, file, err
}

func send(conn *net.UnixConn, message any, file *os.File) error {
	text, err := json.Marshal(message)
	if err != nil {
		return err
	}
	var rights []byte
	if file != nil {
		rights = unix.UnixRights(int(file.Fd()))
	}
	_, _, err = conn.WriteMsgUnix(text, rights, nil)
	return err
}

func receive(conn *net.UnixConn, message any) (*os.File, error) {
	text, rights := make([]byte, mostRequest), make([]byte, unix.CmsgSpace(4))
	n, got, _, _, err := conn.ReadMsgUnix(text, rights)
	if err != nil {
		return nil, err
	}
	file, err := descriptor(rights[:got])
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text[:n], message); err != nil {
		return file, fmt.Errorf("message of the network: %w", err)
	}
	return file, nil
}

// descriptor is the one that came with a message, nil when none did.
func descriptor(rights []byte) (*os.File, error) {
	if len(rights) == 0 {
		return nil, nil
	}
	messages, err := unix.ParseSocketControlMessage(rights)
	if err != nil || len(messages) != 1 {
		return nil, fmt.Errorf("message of the network: %d control messages: %w", len(messages), err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		return nil, fmt.Errorf("message of the network: %d descriptors: %w", len(fds), err)
	}
	unix.CloseOnExec(fds[0])
	return os.NewFile(uintptr(fds[0]), "tap"), nil
}
