package api_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"mime/multipart"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"agentstudio/internal/api"
	"agentstudio/internal/file"
)

// form is a form with a file, and its content type.
func form(name, text string) (body []byte, contentType string) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	_ = w.WriteField("note", "comes before") // a buffer takes everything
	part, _ := w.CreateFormFile("file", name)
	_, _ = part.Write([]byte(text))
	_ = w.Close()
	return b.Bytes(), w.FormDataContentType()
}

func (s *studio) upload(token, query, name, text string) *answer {
	s.t.Helper()
	body, kind := form(name, text)
	return s.do("POST", "/tools/files/upload?"+query, token, body, "Content-Type", kind)
}

// file uploads a file and returns its id.
func (s *studio) file(token, workspaceID, name, text string) string {
	s.t.Helper()
	return s.upload(token, "workspace_id="+workspaceID, name, text).expect(201).text("id")
}

// contents counts what is stored, parts included.
func (s *studio) contents() (n int) {
	s.t.Helper()
	err := filepath.WalkDir(s.folder, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			n++
		}
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

func TestFilesAreUploadedListedAndRead(t *testing.T) {
	s := open(t, options{files: file.Config{Quota: 1 << 20}})
	p := s.signIn("a@example.com")
	text := strings.Repeat("line of text\n", 1000)
	up := s.upload(p.token, "", "notes.txt", text).expect(201).expectAt("name", "notes.txt").expectAt("size", 13000).expectAt("content_type", "text/plain; charset=utf-8")
	id := up.text("id")
	if up.Header.Get("Location") != "/api/v1/tools/files/"+id || <-s.started != "notes.txt" {
		t.Error("it was not told where it is, or not announced")
	}
	s.upload(p.token, "path=deep/er/a.json", "x", `{"a": 1}`).expect(201).expectAt("path", "deep/er/a.json").expectAt("content_type", "application/json")
	s.upload(p.token, "", "../../etc/passwd", "x").expect(201).expectAt("path", "passwd")
	s.do("GET", "/tools/files?folder=deep", p.token, nil).expect(200).expectAt("total", 1).expectAt("items.0.name", "a.json").expectAt("quota_bytes", float64(1<<20)).expectAt("used_bytes", 13009)
	s.do("GET", "/tools/files?query=NOTES", p.token, nil).expect(200).expectAt("total", 1).expectAt("items.0.id", id)
	s.do("GET", "/tools/files/"+id, p.token, nil).expect(200).expectAt("sha256", up.text("sha256"))

	all := s.do("GET", "/tools/files/"+id+"?download=1", p.token, nil).expect(200)
	if string(all.Body) != text || all.Header.Get("X-Content-Type-Options") != "nosniff" || all.Header.Get("Content-Disposition") != "attachment; filename=notes.txt" || !strings.Contains(all.Header.Get("Content-Security-Policy"), "sandbox") {
		t.Errorf("got %d bytes, %v", len(all.Body), all.Header)
	}
	part := s.do("GET", "/tools/files/"+id+"?download=1", p.token, nil, "Range", "bytes=13-25").expect(206)
	if string(part.Body) != "line of text\n" || part.Header.Get("Content-Range") != "bytes 13-25/13000" {
		t.Errorf("a part is %q, %v", part.Body, part.Header)
	}
	s.do("GET", "/tools/files/"+id+"?download=1", p.token, nil, "Range", "bytes=13000-").expect(416)
	s.do("GET", "/tools/files/"+id+"?download=1", p.token, nil, "If-None-Match", all.Header.Get("ETag")).expect(304)

	s.upload(p.token, "", "notes.txt", "new").problem(409, "conflict").expectAt("code", "path_taken")
	s.upload(p.token, "replace=true", "notes.txt", "new").expect(201).expectAt("id", id).expectAt("size", 3)
	s.do("DELETE", "/tools/files/"+id, p.token, nil).expect(204)
	s.do("GET", "/tools/files/"+id+"?download=1", p.token, nil).problem(404, "not_found")
	if n := s.contents(); n != 2 {
		t.Errorf("%d contents are left", n)
	}
}

func TestNamesAreSafeInHeaders(t *testing.T) {
	s := open(t, options{})
	p := s.signIn("a@example.com")
	for name, want := range map[string]string{
		`a"b.txt`:             `attachment; filename="a\"b.txt"`,
		"Übersicht 1.pdf":     "attachment; filename*=utf-8''%C3%9Cbersicht%201.pdf",
		"x; filename=evil.sh": `attachment; filename="x; filename=evil.sh"`,
	} {
		id := s.upload(p.token, "path="+url.QueryEscape(name), "f", "text").expect(201).text("id")
		if got := s.do("GET", "/tools/files/"+id+"?download=1", p.token, nil).expect(200).Header.Get("Content-Disposition"); got != want {
			t.Errorf("%q: %s", name, got)
		}
	}
	s.upload(p.token, "path="+url.QueryEscape("a\r\nX-Evil: 1"), "f", "text").problem(422, "invalid").expectAt("code", "bad_path")
	// A page cannot run here, however it is opened.
	id := s.upload(p.token, "", "page.html", "<!doctype html><script>alert(1)</script>").expect(201).expectAt("content_type", "text/html; charset=utf-8").text("id")
	if h := s.do("GET", "/tools/files/"+id+"?download=1", p.token, nil).expect(200).Header; !strings.HasPrefix(h.Get("Content-Disposition"), "attachment") || !strings.Contains(h.Get("Content-Security-Policy"), "sandbox") {
		t.Errorf("got %v", h)
	}
}

func TestLinksGiveAFileUntilTheyExpire(t *testing.T) {
	s := open(t, options{})
	p := s.signIn("a@example.com")
	id := s.file(p.token, "", "a.txt", "the text")
	link := s.do("POST", "/tools/files/"+id+"/link", p.token, `{"expires_in": 120}`).expect(201).text("url")
	path := link[strings.Index(link, "/api/"):]
	got := s.do("GET", path, "", nil).expect(200)
	if string(got.Body) != "the text" || !strings.HasPrefix(link, s.http.URL) {
		t.Errorf("%s gave %q", link, got.Body)
	}
	s.do("GET", path, "", nil, "Range", "bytes=4-").expect(206)
	other := s.file(p.token, "", "b.txt", "another")
	s.do("GET", strings.Replace(path, id, other, 1), "", nil).problem(404, "not_found")
	s.do("GET", strings.Replace(path, "expires=", "expires=9", 1), "", nil).problem(404, "not_found")
	s.do("POST", "/tools/files/"+id+"/link", p.token, `{"expires_in": 604801}`).problem(422, "invalid")
	s.do("GET", "/tools/files/"+id+"?download=1", "", nil).problem(401, "unauthenticated")
	s.clock.pass(2 * time.Minute)
	s.do("GET", path, "", nil).problem(403, "forbidden").expectAt("code", "expired")
	s.do("GET", "/activity?action=file.shared", p.token, nil).expect(200).expectAt("total", 1)
}

func TestUploadsAreBounded(t *testing.T) {
	s := open(t, options{files: file.Config{MaxUpload: 100 << 10, Quota: 150 << 10, Types: []string{"text/*"}}, config: func(c *api.Config) { c.MaxBody = 1 << 10 }})
	p := s.signIn("a@example.com")
	big := strings.Repeat("x", 100<<10) // larger than any other body may be
	s.upload(p.token, "", "fits.txt", big).expect(201)
	s.upload(p.token, "", "large.txt", big+"x").problem(409, "conflict").expectAt("code", "quota") // 50 KiB are left
	s.upload(p.token, "replace=true", "fits.txt", strings.Repeat("x", 300<<10)).problem(413, "too_large").expectAt("code", "file_too_large")
	s.upload(p.token, "", "other.txt", big).problem(409, "conflict").expectAt("code", "quota")
	s.upload(p.token, "", "a.txt", "\x7fELF\x02\x01\x01"+strings.Repeat("\x00", 100)).problem(422, "invalid").expectAt("code", "type_not_allowed")
	s.do("POST", "/tools/files/upload", p.token, `{}`).problem(415, "unsupported_media_type")
	s.do("POST", "/tools/files/upload", p.token, "--b--\r\n", "Content-Type", "multipart/form-data; boundary=b").problem(422, "invalid")
	s.do("POST", "/tools/files/upload", p.token, "--b\r\nnonsense", "Content-Type", "multipart/form-data; boundary=b").problem(400, "malformed")
	if n := s.contents(); n != 1 {
		t.Errorf("%d contents are stored", n)
	}
}

// A line that dies, or says nothing more, in the middle of a file.
func TestACutUploadIsNotThere(t *testing.T) {
	s := open(t, options{files: file.Config{MaxUpload: 10 << 20}, config: func(c *api.Config) { c.BodyTime = 300 * time.Millisecond }})
	p := s.signIn("a@example.com")
	body, kind := form("a.txt", strings.Repeat("x", 5<<20))
	for _, hangUp := range []bool{true, false} {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", s.http.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_, err = fmt.Fprintf(conn, "POST /api/v1/tools/files/upload HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n", p.token, kind, len(body))
		if err == nil {
			_, err = conn.Write(body[:3<<20])
		}
		if err != nil {
			t.Fatal(err)
		}
		if hangUp {
			_ = conn.Close()
		} else { // the server gives up by itself
			if answer, err := io.ReadAll(conn); err != nil || !strings.Contains(string(answer), "nothing more of the file arrived") {
				t.Errorf("answered %q, %v", answer, err)
			}
			_ = conn.Close()
		}
	}
	deadline, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for s.contents() > 0 { // the one that hung up may still be on its way
		select {
		case <-deadline.Done():
			t.Fatal("a part is left")
		case <-time.After(10 * time.Millisecond):
		}
	}
	s.do("GET", "/tools/files", p.token, nil).expect(200).expectAt("total", 0)
	// A slow line that goes on is waited for.
	r, w := io.Pipe()
	go func() {
		for at := 0; at < len(body); at += 1 << 20 {
			<-time.After(100 * time.Millisecond)
			_, _ = w.Write(body[at:min(at+1<<20, len(body))]) // the request says when it fails
		}
		_ = w.Close()
	}()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.http.URL+"/api/v1/tools/files/upload", r)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+p.token)
	req.Header.Set("Content-Type", kind)
	resp, err := s.http.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusCreated {
		t.Errorf("a slow upload: %d", resp.StatusCode)
	}
}
