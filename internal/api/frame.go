package api

import (
	"bufio"
	"bytes"
	"encoding/binary"
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
	due    sync.Pool // of *[]byte: what sockets are about to send
}

type frame struct {
	of    *event.Event
	bytes []byte
}

// of returns the frame of an event, which is shared: it is read, never changed.
func (f *frames) of(e *event.Event) ([]byte, error) {
	for i := range f.recent {
		if known := f.recent[i].Load(); known != nil && known.of == e {
			return known.bytes, nil
		}
	}
	text, err := json.Marshal(viewEvent(e))
	if err != nil {
		return nil, err
	}
	whole := textFrame(text)
	f.recent[f.next.Add(1)%uint32(len(f.recent))].Store(&frame{e, whole})
	return whole, nil
}

// textFrame is a server's frame of text: final, neither masked nor compressed
// (RFC 6455, 5.2).
func textFrame(text []byte) []byte {
	const finalText = 0x81
	whole := make([]byte, 0, len(text)+10)
	switch n := len(text); {
	case n < 126:
		whole = append(whole, finalText, byte(n))
	case n < 1<<16:
		whole = binary.BigEndian.AppendUint16(append(whole, finalText, 126), uint16(n))
	default:
		whole = binary.BigEndian.AppendUint64(append(whole, finalText, 127), uint64(n))
	}
	return append(whole, text...)
}

// wire is the connection under a socket. What is written between hold and
// release goes out at once: a system call for all frames that are due, not one
// for each. Each Write is a whole frame.
type wire struct {
	net.Conn
	pool *sync.Pool // of *[]byte, for what is due
	mu   sync.Mutex // guards due
	due  *[]byte    // nil when nothing is held
}

func (w *wire) Write(p []byte) (int, error) {
	w.mu.Lock()
	if w.due != nil {
		*w.due = append(*w.due, p...)
		w.mu.Unlock()
		return len(p), nil
	}
	w.mu.Unlock()
	return w.Conn.Write(p)
}

// hold gathers what is written from now on.
func (w *wire) hold() {
	due, _ := w.pool.Get().(*[]byte)
	if due == nil {
		due = new([]byte)
	}
	w.mu.Lock()
	w.due = due
	w.mu.Unlock()
}

// full reports whether enough is gathered.
func (w *wire) full() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.due != nil && len(*w.due) >= maxHeld
}

// release sends what was gathered; what is written from now on goes out as it
// comes.
func (w *wire) release() error {
	w.mu.Lock()
	due := w.due
	w.due = nil
	w.mu.Unlock()
	if due == nil {
		return nil
	}
	var err error
	if len(*due) > 0 {
		_, err = w.Conn.Write(*due)
	}
	if cap(*due) <= 2*maxHeld { // what one large event needed is not kept
		*due = (*due)[:0]
		w.pool.Put(due)
	}
	return err
}

// upgrade hands a request's connection over as a wire, with small buffers.
type upgrade struct {
	http.ResponseWriter
	pool *sync.Pool
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
	u.wire = &wire{Conn: conn, pool: u.pool}
	return u.wire, bufio.NewReadWriter(r, bufio.NewWriterSize(u.wire, frameBuffer)), nil
}
