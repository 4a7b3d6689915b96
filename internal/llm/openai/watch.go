package openai

import (
	"io"
	"net/http"
	"time"

	"github.com/openai/openai-go/v3/option"
)

// Bounds of what is read of one answer.
const (
	longestAnswer = 64 << 20 // bytes on the wire
	longestError  = 64 << 10
	drainTime     = 20 * time.Millisecond
)

// watch ends a call whose server sends nothing for too long. What counts is
// the wait for the server: while the answer's parts are passed on, the clock
// stands still. It belongs to one call.
type watch struct {
	idle  time.Duration
	timer *time.Timer
	body  io.ReadCloser
	left  int64 // bytes that may still be read
}

// newWatch returns a watch that waits for the answer's beginning already.
func newWatch(idle time.Duration, end func()) *watch {
	return &watch{idle: idle, timer: time.AfterFunc(idle, end)}
}

func (w *watch) stop() { w.timer.Stop() }

// middleware puts the watch between the connection and its reader.
func (w *watch) middleware(req *http.Request, next option.MiddlewareNext) (*http.Response, error) {
	response, err := next(req)
	w.timer.Stop()
	if err != nil {
		return response, err
	}
	w.body, w.left = response.Body, longestAnswer
	if response.StatusCode >= http.StatusBadRequest {
		w.left = longestError
	}
	response.Body = w
	return response, nil
}

// Read implements io.Reader.
func (w *watch) Read(p []byte) (int, error) {
	if w.left <= 0 {
		return 0, io.EOF
	}
	w.timer.Reset(w.idle)
	defer w.timer.Stop()
	n, err := w.body.Read(p[:min(int64(len(p)), w.left)])
	w.left -= int64(n)
	return n, err
}

// Close implements io.Closer.
func (w *watch) Close() error { return w.body.Close() }

// drain reads what little follows an answer, so that its connection can serve
// the next call; a server that keeps it open is not waited for.
func (w *watch) drain() {
	const little = 4 << 10
	w.idle, w.left = drainTime, little
	_, _ = io.Copy(io.Discard, w) // the answer is whole: nothing here matters
}
