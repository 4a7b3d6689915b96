package api

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"time"
	"unicode/utf8"

	"agentstudio/internal/fault"
)

// hasten bounds how long the body of a request may take to arrive, whoever
// reads it: what no handler has read the library reads before it answers. The
// bound ends when the body has been read; the next request sets its own.
func (s *Server) hasten(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength != 0 {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(s.cfg.BodyTime)) // not every connection has deadlines
	}
}

// readBody reads a request's body whole. TooLarge, before reading on, when it
// is over the bound; Malformed when it breaks off.
func (s *Server) readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if r.Body == nil || r.Body == http.NoBody {
		return nil, nil
	}
	tooLarge := fault.New(fault.TooLarge, "the body is over the limit of %d bytes", s.cfg.MaxBody)
	if r.ContentLength > s.cfg.MaxBody {
		return nil, tooLarge
	}
	var buf bytes.Buffer
	if r.ContentLength > 0 {
		buf.Grow(int(min(r.ContentLength, 1<<20)) + bytes.MinRead)
	}
	_, err := io.Copy(&buf, http.MaxBytesReader(w, r.Body, s.cfg.MaxBody))
	if err == nil {
		_ = http.NewResponseController(w).SetReadDeadline(time.Time{}) // as in hasten
	}
	var over *http.MaxBytesError
	var network net.Error
	switch {
	case errors.As(err, &over):
		return nil, tooLarge
	case errors.As(err, &network) && network.Timeout():
		return nil, fault.New(fault.Malformed, "the body did not arrive within %s", s.cfg.BodyTime)
	case err != nil:
		return nil, fault.Wrap(fault.Malformed, err, "the body broke off before its end")
	}
	return buf.Bytes(), nil
}

// bodied gives an operation its body in memory, checked to be text without NULs.
func (s *Server) bodied(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := s.readBody(w, r)
		if err == nil {
			err = checkText(body)
		}
		if err != nil {
			s.fail(w, r, err)
			return
		}
		r.Body = &bodyReader{Reader: *bytes.NewReader(body), bytes: body}
		next.ServeHTTP(w, r)
	})
}

// bodyReader is a body that is in memory already.
type bodyReader struct {
	bytes.Reader
	bytes []byte
}

func (*bodyReader) Close() error { return nil }

// bodyBytes returns the body that bodied has read.
func bodyBytes(r *http.Request) []byte {
	if b, ok := r.Body.(*bodyReader); ok {
		return b.bytes
	}
	return nil
}

func checkText(body []byte) error {
	if !utf8.Valid(body) {
		return fault.New(fault.Malformed, "the body is not UTF-8 text")
	}
	if bytes.IndexByte(body, 0) >= 0 || escapesNUL(body) {
		return fault.InvalidInput(fault.Detail{Location: "body", Code: "not_text", Message: "a text holds the NUL character, which cannot be kept"})
	}
	return nil
}

// escapesNUL reports whether JSON holds the escape of NUL.
func escapesNUL(body []byte) bool {
	for at := 0; ; {
		i := bytes.Index(body[at:], []byte(`\u0000`))
		if i < 0 {
			return false
		}
		at += i
		backslashes := 0
		for j := at - 1; j >= 0 && body[j] == '\\'; j-- {
			backslashes++
		}
		if backslashes%2 == 0 {
			return true
		}
		at++
	}
}
