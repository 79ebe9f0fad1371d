package node

import (
	"context"
	"crypto/ed25519"
	"errors"
	"net"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

const (
	sshPort   = 22
	sshBanner = "SSH-2.0-OpenSSH_8.7"
	sshGrace  = 120 * time.Second // LoginGraceTime of sshd_config(5)
)

// startSSH offers user core a login with the given authorized keys.
func (s *system) startSSH(key ed25519.PrivateKey, authorized []string) error {
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		return err
	}
	config := &ssh.ServerConfig{ServerVersion: sshBanner, MaxAuthTries: 6, PublicKeyCallback: authorize(authorized)}
	config.AddHostKey(signer)
	s.log("sshd", "Server listening on 0.0.0.0 port %d.", sshPort)
	return s.serve(sshPort, func(l net.Listener) { s.acceptSSH(l, config) })
}

var errDenied = errors.New("permission denied")

// authorize admits user core with one of the keys; lines that are no key are
// passed over, as sshd does.
func authorize(lines []string) func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error) {
	known := map[string]bool{}
	for _, line := range lines {
		if key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line)); err == nil {
			known[string(key.Marshal())] = true
		}
	}
	return func(c ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		if c.User() != coreUser || !known[string(key.Marshal())] {
			return nil, errDenied
		}
		return &ssh.Permissions{}, nil
	}
}

func (s *system) acceptSSH(l net.Listener, config *ssh.ServerConfig) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		s.spawn(func(ctx context.Context) {
			stop := context.AfterFunc(ctx, func() { conn.Close() })
			defer stop()
			defer conn.Close()
			s.serveSSH(ctx, conn, config)
		})
	}
}

func (s *system) serveSSH(ctx context.Context, conn net.Conn, config *ssh.ServerConfig) {
	conn.SetDeadline(time.Now().Add(sshGrace))
	server, channels, requests, err := ssh.NewServerConn(conn, config)
	if err != nil {
		return
	}
	defer server.Close()
	conn.SetDeadline(time.Time{})
	ctx, cancel := context.WithCancel(ctx)
	var open sync.WaitGroup
	defer open.Wait()
	defer cancel()
	open.Go(func() { ssh.DiscardRequests(requests) })
	for offered := range channels {
		switch offered.ChannelType() {
		case "session":
			if channel, requests, err := offered.Accept(); err == nil {
				open.Go(func() { s.sshSession(ctx, channel, requests) })
			}
		case "direct-tcpip":
			open.Go(func() { s.sshForward(ctx, offered) })
		default:
			offered.Reject(ssh.UnknownChannelType, "unknown channel type")
		}
	}
}

// sshSession runs the one command of a session. Its requests are read until
// the channel closes, for the connection stalls otherwise.
func (s *system) sshSession(ctx context.Context, channel ssh.Channel, requests <-chan *ssh.Request) {
	ctx, cancel := context.WithCancel(ctx)
	var command sync.WaitGroup
	defer command.Wait()
	defer cancel()
	defer channel.Close()
	begun := false
	for r := range requests {
		var payload struct{ Command string }
		ok := r.Type == "exec" && !begun && ssh.Unmarshal(r.Payload, &payload) == nil
		if r.WantReply {
			r.Reply(ok || r.Type == "env", nil)
		}
		if ok {
			begun = true
			command.Go(func() { s.sshExec(ctx, channel, payload.Command) })
		}
	}
}

func (s *system) sshExec(ctx context.Context, channel ssh.Channel, command string) {
	status := s.shell(ctx, command, channel, channel.Stderr())
	if ctx.Err() == nil { // a host without power reports no exit status
		channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{uint32(status)}))
	}
	channel.Close()
}
