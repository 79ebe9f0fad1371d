package assisted

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/slipway-project/slipway/rehearsal/node"
)

// getImageURL signs the URL anew on every call.
func (s *Service) getImageURL(r *http.Request) (int, any, error) {
	ie, err := s.infraEnvOf(r)
	if err != nil {
		return 0, nil, err
	}
	s.sign(ie, now().Time)
	return http.StatusOK, map[string]any{"url": ie.DownloadURL, "expires_at": ie.ExpiresAt}, nil
}

// sign gives ie a download URL: a plain one without authentication, else one
// with a token that expires.
func (s *Service) sign(ie *infraEnv, at time.Time) {
	version := minor(ie.OpenshiftVersion)
	if s.config.Token == "" {
		ie.DownloadURL = fmt.Sprintf("%s/byid/%s/%s/x86_64/minimal.iso", s.config.URL, ie.ID, version)
		return
	}
	token := rand.Text()
	ie.ExpiresAt = timestamp{at.Add(s.config.Speed.Budget(imageExpiration))}
	ie.signatures[token] = ie.ExpiresAt.Time
	ie.DownloadURL = fmt.Sprintf("%s/bytoken/%s/%s/x86_64/minimal.iso", s.config.URL, token, version)
}

func (s *Service) serveImage(w http.ResponseWriter, r *http.Request) {
	path, err := s.imageFor(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	http.ServeFile(w, r, path)
}

func (s *Service) imageFor(r *http.Request) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ie := s.signedFor(r.PathValue("infra_env_id"), r.PathValue("token"))
	if ie == nil || r.PathValue("version") != minor(ie.OpenshiftVersion) {
		return "", errors.New("image not found")
	}
	if ie.image == "" {
		if err := s.writeImage(ie); err != nil {
			return "", err
		}
	}
	return ie.image, nil
}

func (s *Service) signedFor(id, token string) *infraEnv {
	if s.config.Token == "" {
		return s.infraEnvs[id]
	}
	for _, ie := range s.infraEnvs {
		if end, ok := ie.signatures[token]; ok && time.Now().Before(end) {
			return ie
		}
	}
	return nil
}

func (s *Service) writeImage(ie *infraEnv) error {
	path := filepath.Join(s.config.Dir, ie.ID+".iso")
	if err := s.config.Image(path, s.discovery(ie)); err != nil {
		return fmt.Errorf("write image of infra env %s: %w", ie.ID, err)
	}
	ie.image = path
	return nil
}

// plainImage holds the configuration and zeros.
func (c Config) plainImage(path string, d node.Discovery) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(node.WriteISO(file, d, c.ImageSize), file.Close())
}

func (s *Service) discovery(ie *infraEnv) node.Discovery {
	return node.Discovery{
		ServiceURL: s.config.URL,
		InfraEnvID: ie.ID,
		AgentToken: s.agentToken,
		SSHKeys:    lines(ie.SSHAuthorizedKey),
		Networks:   ie.networks,
	}
}

func lines(text string) []string {
	var list []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			list = append(list, line)
		}
	}
	return list
}

func (s *Service) dropImage(ie *infraEnv) error {
	if ie.image == "" {
		return nil
	}
	if err := os.Remove(ie.image); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	ie.image = ""
	return nil
}
