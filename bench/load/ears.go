//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"
)

// ears listen at many sockets with one thread, so that thousands of listeners
// on the machine of the server cost little beside it: what is measured is the
// server. They are not safe for concurrent use.
type ears struct {
	poll  int
	by    map[int32]*ear
	times []time.Duration // from an event to its frame
	ends  int             // frames that said that an execution is complete
	read  []byte
}

type ear struct {
	fd   descriptor
	rest []byte // of a frame that has not come whole
}

func newEars() (*ears, error) {
	poll, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	return &ears{poll: poll, by: map[int32]*ear{}, read: make([]byte, 64<<10)}, err
}

// add listens at a connection that has said hello; the caller may close its own.
func (e *ears) add(conn net.Conn) error {
	fd, err := watch(e.poll, conn)
	if err == nil {
		e.by[int32(fd)] = &ear{fd: fd}
	}
	return err
}

func (e *ears) Close() error {
	err := os.NewSyscallError("close", syscall.Close(e.poll))
	for _, one := range e.by {
		err = errors.Join(err, one.fd.Close())
	}
	return err
}

// hear listens until so many ends of executions have arrived.
func (e *ears) hear(ctx context.Context, ends int) error {
	ready := make([]syscall.EpollEvent, 512)
	for e.ends < ends {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := syscall.EpollWait(e.poll, ready, 100)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil {
			return err
		}
		for _, r := range ready[:n] {
			if err := e.take(e.by[r.Fd], int(r.Fd)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (e *ears) take(of *ear, fd int) error {
	for {
		n, err := syscall.Read(fd, e.read)
		switch {
		case errors.Is(err, syscall.EAGAIN):
			return nil
		case err != nil:
			return err
		case n == 0:
			return errors.New("the server has closed a socket")
		}
		if err := e.hearAll(of, e.read[:n], time.Now()); err != nil {
			return err
		}
		if n < len(e.read) {
			return nil
		}
	}
}

func (e *ears) hearAll(of *ear, text []byte, arrived time.Time) error {
	if len(of.rest) > 0 {
		text = append(of.rest, text...)
	}
	for {
		code, payload, rest, whole := nextFrame(text)
		if !whole {
			break
		}
		text = rest
		switch code {
		case 1:
			e.note(payload, arrived)
		case 8:
			return fmt.Errorf("the server has closed a socket: %q", payload)
		case 9:
			return errors.New("a ping: the measurement takes longer than it should")
		}
	}
	of.rest = append(of.rest[:0:0], text...)
	return nil
}

// nextFrame cuts a frame of a server, which is not masked, off the text (RFC 6455, 5.2).
func nextFrame(text []byte) (code byte, payload, rest []byte, whole bool) {
	if len(text) < 2 {
		return 0, nil, text, false
	}
	size, head := int(text[1]&127), 2
	switch {
	case size == 126 && len(text) >= 4:
		size, head = int(binary.BigEndian.Uint16(text[2:])), 4
	case size == 127 && len(text) >= 10:
		size, head = int(binary.BigEndian.Uint64(text[2:])), 10
	case size > 125:
		return 0, nil, text, false
	}
	if len(text) < head+size {
		return 0, nil, text, false
	}
	return text[0] & 15, text[head : head+size], text[head+size:], true
}

// note measures a frame about an execution. It looks for what it needs in the
// text, since decoding thousands of frames would be part of the measurement.
func (e *ears) note(text []byte, arrived time.Time) {
	const head = 300 // bytes, in which all is but what the event is about
	if !bytes.Contains(text[:min(head, len(text))], []byte(`"type":"execution_update"`)) {
		return
	}
	_, after, _ := bytes.Cut(text, []byte(`"timestamp":"`))
	stamp, _, _ := bytes.Cut(after, []byte(`"`))
	at, err := time.Parse(time.RFC3339, string(stamp))
	if err != nil {
		return
	}
	e.times = append(e.times, arrived.Sub(at))
	if bytes.Contains(text, []byte(`"status":"completed"`)) {
		e.ends++
	}
}
