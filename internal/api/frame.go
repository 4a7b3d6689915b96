package api

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net"
	"net/http"
	"sync"
	"sync/atomic"

	"agentstudio/internal/event"
)

const (
	// frameBuffer is the size of a socket's buffers, in bytes: frames are small,
	// and there are thousands of sockets.
	frameBuffer = 512
	// maxHeld is how many bytes of frames are gathered before they are sent.
	maxHeld = 64 << 10
)

// frames turns events into text, each once for all sockets that are told of it
// at about the same time.
type frames struct {
	next   atomic.Uint32
	recent [16]atomic.Pointer[frame]
}

type frame struct {
	of   *event.Event
	text []byte
}

// text returns the frame of an event, which is shared: it is read, never
// changed.
func (f *frames) text(e *event.Event) ([]byte, error) {
	for i := range f.recent {
		if known := f.recent[i].Load(); known != nil && known.of == e {
			return known.text, nil
		}
	}
	text, err := json.Marshal(viewEvent(e))
	if err != nil {
		return nil, err
	}
	f.recent[f.next.Add(1)%uint32(len(f.recent))].Store(&frame{e, text})
	return text, nil
}

// wire is the connection under a socket. What the socket writes between hold
// and release goes out at once: a system call for all frames that are due, not
// one for each.
type wire struct {
	net.Conn
	mu   sync.Mutex
	held bool
	due  []byte
}

func (w *wire) Write(p []byte) (int, error) {
	w.mu.Lock()
	if w.held {
		w.due = append(w.due, p...)
		w.mu.Unlock()
		return len(p), nil
	}
	w.mu.Unlock()
	return w.Conn.Write(p)
}

// hold gathers what is written from now on.
func (w *wire) hold() {
	w.mu.Lock()
	w.held = true
	w.mu.Unlock()
}

// full reports whether enough is gathered.
func (w *wire) full() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.due) >= maxHeld
}

// release sends what was gathered; what is written from now on goes out as it
// comes.
func (w *wire) release() error {
	w.mu.Lock()
	due := w.due
	w.held, w.due = false, nil
	w.mu.Unlock()
	if len(due) == 0 {
		return nil
	}
	_, err := w.Conn.Write(due)
	return err
}

// upgrade hands a request's connection over as a wire, with small buffers.
type upgrade struct {
	http.ResponseWriter
	wire *wire
}

// Hijack implements http.Hijacker.
func (u *upgrade) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, of, err := http.NewResponseController(u.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	early, _ := of.Peek(of.Reader.Buffered()) // what is buffered is there
	r := bufio.NewReaderSize(bytes.NewReader(early), max(frameBuffer, len(early)))
	if _, err := r.Peek(len(early)); err != nil {
		return nil, nil, err
	}
	u.wire = &wire{Conn: conn}
	return u.wire, bufio.NewReadWriter(r, bufio.NewWriterSize(u.wire, frameBuffer)), nil
}
