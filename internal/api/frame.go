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

// wire is the connection under a socket. The WebSocket library writes control
// frames to it, each with one Write; the socket sends its own frames. Both put
// whole frames on the connection.
type wire struct {
	net.Conn
	mu      sync.Mutex // locked for each write, and from a send to the end of its finish
	attempt attempt
}

func newWire(conn net.Conn) *wire { return &wire{Conn: conn, attempt: newAttempt(conn)} }

func (w *wire) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.Conn.Write(p)
}

// send writes what the connection takes without waiting. What is left must be
// given to finish; nobody else writes until then.
func (w *wire) send(p []byte) (left []byte, err error) {
	w.mu.Lock()
	n, err := w.attempt.write(p)
	if err != nil || n == len(p) {
		w.mu.Unlock()
		return nil, err
	}
	return p[n:], nil
}

// finish writes what a send has left, and waits for it.
func (w *wire) finish(left []byte) error {
	defer w.mu.Unlock()
	_, err := w.Conn.Write(left)
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
	u.wire = newWire(conn)
	return u.wire, bufio.NewReadWriter(r, bufio.NewWriterSize(u.wire, frameBuffer)), nil
}
