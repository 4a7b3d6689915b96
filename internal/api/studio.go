package api

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io/fs"
	"mime"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync"
)

// Studio is the web studio that a server shows beside the API.
type Studio struct {
	// Files are the built pages, index.html at their root; nil: there are none,
	// and / says so.
	Files fs.FS
	// NoMail says that sign-in codes are printed where the server runs.
	NoMail bool
}

// studioPolicy is what the studio's pages may load: what this server serves.
const studioPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; " +
	"manifest-src 'self'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"

// asset is a file of the studio in the forms it is sent in.
type asset struct {
	name, contentType, etag string
	plain                   []byte
	packed                  func() []byte // gzip; nil when that saves nothing
}

// studioRoutes serves the studio at / and at every address that is nothing
// else, where a reader's address bar may point.
func (s *Server) studioRoutes() {
	assets, err := s.readStudio()
	if err != nil {
		s.cfg.Log.Error("the web studio cannot be served", "error", err.Error())
	}
	index := assets["index.html"]
	if index == nil {
		s.router.Get("/", s.home)
		return
	}
	s.router.Get("/", func(w http.ResponseWriter, r *http.Request) { s.serveAsset(w, r, index) })
	s.router.NotFound(func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(path.Clean(r.URL.Path), "/")
		switch found := assets[name]; {
		case r.Method != http.MethodGet && r.Method != http.MethodHead, programs(name):
			s.notFound(w, r)
		case found != nil:
			s.serveAsset(w, r, found)
		case path.Ext(name) == "" && strings.Contains(r.Header.Get("Accept"), "text/html"):
			s.serveAsset(w, r, index)
		default:
			s.notFound(w, r)
		}
	})
}

// programs reports whether an address belongs to what programs call, where a
// page would only hide a mistake.
func programs(name string) bool {
	first, _, _ := strings.Cut(name, "/")
	switch first {
	case "api", "hooks", "mcp", "v1", "docs", "schemas", "metrics", "healthz", "readyz":
		return true
	}
	return false
}

// readStudio reads every file of the studio.
func (s *Server) readStudio() (map[string]*asset, error) {
	out := map[string]*asset{}
	if s.Studio.Files == nil {
		return out, nil
	}
	err := fs.WalkDir(s.Studio.Files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(d.Name(), ".") {
			return err
		}
		text, err := fs.ReadFile(s.Studio.Files, name)
		if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		if name == "index.html" {
			text = s.personalise(text)
		}
		out[name] = newAsset(name, text)
		return nil
	})
	return out, err
}

// personalise writes into the first page where it stands and what it cannot
// ask before somebody has signed in.
func (s *Server) personalise(index []byte) []byte {
	about, err := json.Marshal(map[string]any{"version": s.cfg.Version, "mail": !s.Studio.NoMail})
	if err != nil {
		return index
	}
	head := `<base href="` + html.EscapeString(s.under()+"/") + `"><meta name="studio" content="` + html.EscapeString(string(about)) + `">`
	return bytes.Replace(index, []byte("<head>"), []byte("<head>\n    "+head), 1)
}

// under is the path that readers see before all of ours, without a slash at
// its end: a proxy that takes it away may stand in front.
func (s *Server) under() string {
	u, err := url.Parse(s.cfg.PublicURL)
	if err != nil {
		return ""
	}
	return strings.TrimRight(u.EscapedPath(), "/")
}

func newAsset(name string, text []byte) *asset {
	sum := sha256.Sum256(text)
	a := &asset{name: name, plain: text, contentType: mime.TypeByExtension(path.Ext(name)), etag: base64.RawURLEncoding.EncodeToString(sum[:12])}
	if known, ok := map[string]string{".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".html": "text/html; charset=utf-8",
		".svg": "image/svg+xml", ".woff2": "font/woff2", ".yaml": "application/yaml", ".webmanifest": "application/manifest+json"}[path.Ext(name)]; ok {
		a.contentType = known // whatever this machine's tables say
	}
	if a.contentType == "" {
		a.contentType = "application/octet-stream"
	}
	if len(text) > 1024 && !strings.HasPrefix(a.contentType, "font/") && (!strings.HasPrefix(a.contentType, "image/") || path.Ext(name) == ".svg") {
		a.packed = sync.OnceValue(func() []byte { return pack(text) })
	}
	return a
}

func pack(text []byte) []byte {
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err == nil {
		_, err = w.Write(text)
	}
	if err = errors.Join(err, w.Close()); err != nil {
		return nil // it is sent as it is
	}
	return out.Bytes()
}

func (s *Server) serveAsset(w http.ResponseWriter, r *http.Request, a *asset) {
	h := w.Header()
	h.Set("Content-Type", a.contentType)
	h.Set("Cache-Control", "no-cache")
	if strings.HasPrefix(a.name, "assets/") { // their names change with what they hold
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	h.Set("Content-Security-Policy", studioPolicy)
	h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	body, tag := a.plain, `"`+a.etag+`"`
	if a.packed != nil {
		h.Set("Vary", "Accept-Encoding")
		if takesGzip(r.Header.Get("Accept-Encoding")) {
			if packed := a.packed(); packed != nil {
				body, tag = packed, `"`+a.etag+`-gz"`
				h.Set("Content-Encoding", "gzip")
			}
		}
	}
	h.Set("ETag", tag)
	if known(r.Header.Get("If-None-Match"), tag) {
		h.Del("Content-Encoding")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Length", fmt.Sprint(len(body)))
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // the caller may be gone
	}
}

// takesGzip reports whether an Accept-Encoding header allows gzip.
func takesGzip(header string) bool {
	for part := range strings.SplitSeq(header, ",") {
		coding, weight, _ := strings.Cut(strings.ReplaceAll(part, " ", ""), ";")
		if coding == "gzip" || coding == "*" {
			return strings.TrimRight(weight, ".0") != "q="
		}
	}
	return false
}

// known reports whether an If-None-Match header names the tag.
func known(header, tag string) bool {
	for part := range strings.SplitSeq(header, ",") {
		if part = strings.TrimPrefix(strings.TrimSpace(part), "W/"); part == tag || part == "*" {
			return true
		}
	}
	return false
}
