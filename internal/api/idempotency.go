package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"time"

	"agentstudio/internal/access"
	"agentstudio/internal/fault"
)

const (
	// keptFor is how long a key answers with the first result.
	keptFor = 24 * time.Hour
	// claimedFor is how long a key is held for a request in progress, should
	// this process die meanwhile.
	claimedFor = 2 * time.Minute
	// keptBytes bounds the answers that are kept.
	keptBytes = 4 << 20
)

// keptHeaders are the headers that belong to an answer.
func keptHeaders() []string { return []string{"Content-Type", "ETag", "Location"} }

// idempotent answers a request that creates something, and carries a key that
// was used for the same request before, with the first result.
func (s *Server) idempotent(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key := r.Header.Get("Idempotency-Key")
		if key == "" || s.Idempotency == nil {
			next.ServeHTTP(w, r)
			return
		}
		if err := checkKey(key); err != nil {
			s.fail(w, r, err)
			return
		}
		now, actor := s.cfg.Now(), actorKey(callOf(r.Context()).by)
		status, headers, body, err := s.Idempotency.Begin(r.Context(), actor, key, requestHash(r), now, now.Add(claimedFor))
		if err != nil {
			s.fail(w, r, err)
			return
		}
		if status > 0 {
			replay(w, status, headers, body)
			return
		}
		s.record(w, r, next, actor, key)
	})
}

func checkKey(key string) error {
	if len(key) > 255 {
		return fault.InvalidInput(fault.Detail{Location: "header.Idempotency-Key", Code: "too_long", Message: "an idempotency key has at most 255 characters"})
	}
	for i := range len(key) {
		if key[i] < ' ' || key[i] > '~' {
			return fault.InvalidInput(fault.Detail{Location: "header.Idempotency-Key", Code: "not_text", Message: "an idempotency key is made of printable ASCII characters"})
		}
	}
	return nil
}

func actorKey(by access.Actor) string {
	if by.APIKeyID != "" {
		return "key:" + by.APIKeyID
	}
	return "user:" + by.UserID
}

func requestHash(r *http.Request) string {
	h := sha256.New()
	for _, part := range []string{r.Method, r.URL.Path, r.URL.RawQuery, ""} {
		h.Write([]byte(part + "\n")) // a hash takes everything
	}
	h.Write(bodyBytes(r))
	return hex.EncodeToString(h.Sum(nil))
}

// record runs the request and keeps its answer when it succeeded.
func (s *Server) record(w http.ResponseWriter, r *http.Request, next http.Handler, actor, key string) {
	// What became of the key is written down even when the caller is gone.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), claimedFor)
	defer cancel()
	answer := &recorder{ResponseWriter: w}
	kept := false
	defer func() { // also when next panics
		if kept {
			return
		}
		if err := s.Idempotency.Forget(ctx, actor, key); err != nil {
			s.cfg.Log.WarnContext(ctx, "idempotency key not given back", "error", err.Error())
		}
	}()
	next.ServeHTTP(answer, r)
	if answer.status >= 300 || answer.status == 0 || answer.body.Len() > keptBytes {
		return
	}
	headers := map[string]string{}
	for _, name := range keptHeaders() {
		if v := w.Header().Get(name); v != "" {
			headers[name] = v
		}
	}
	text, err := json.Marshal(headers)
	if err == nil {
		err = s.Idempotency.Finish(ctx, actor, key, answer.status, string(text), answer.body.Bytes(), s.cfg.Now().Add(keptFor))
	}
	if kept = err == nil; !kept {
		s.cfg.Log.WarnContext(ctx, "first answer not kept", "error", err.Error())
	}
}

func replay(w http.ResponseWriter, status int, headers string, body []byte) {
	var kept map[string]string
	if json.Unmarshal([]byte(headers), &kept) == nil {
		for name, v := range kept {
			w.Header().Set(name, v)
		}
	}
	w.Header().Set("Idempotency-Replayed", "true")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the caller may be gone
}

// recorder passes an answer on and keeps a copy.
type recorder struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if w.body.Len() <= keptBytes {
		w.body.Write(b)
	}
	return w.ResponseWriter.Write(b)
}

func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }
