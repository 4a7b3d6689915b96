//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"syscall"
	"time"
)

const (
	fewest   = 32  // connections, made before the first request
	most     = 512 // connections
	patience = 10 * time.Second
)

// askers send requests at a steady rate, whether or not the answers come, with
// one thread for all connections, so that the asking costs little beside the
// server that is measured. The time of an answer counts from when its request
// was due. They are not safe for concurrent use.
type askers struct {
	address  string
	requests [][]byte // whole requests, asked in turn
	poll     int
	by       map[int32]*asker
	free     []*asker
	times    []time.Duration
	well     int            // answers with status 200
	failures map[string]int // what the others were
	read     []byte
}

type asker struct {
	fd     descriptor
	due    time.Time
	answer []byte // as far as it has come
}

func newAskers(address string, requests [][]byte) (*askers, error) {
	poll, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	a := &askers{address: address, requests: requests, poll: poll, by: map[int32]*asker{}, failures: map[string]int{}, read: make([]byte, 64<<10)}
	for range fewest {
		if err == nil {
			err = a.connect()
		}
	}
	return a, err
}

func (a *askers) connect() error {
	conn, err := (&net.Dialer{Timeout: patience}).Dial("tcp", a.address)
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // what goes on is its copy
	fd, err := watch(a.poll, conn)
	if err != nil {
		return err
	}
	one := &asker{fd: fd}
	a.by[int32(fd)] = one
	a.free = append(a.free, one)
	return nil
}

func (a *askers) Close() error {
	err := os.NewSyscallError("close", syscall.Close(a.poll))
	for _, one := range a.by {
		err = errors.Join(err, one.fd.Close())
	}
	return err
}

// ask sends requests for so long and waits for their answers. It returns how
// long that took.
func (a *askers) ask(ctx context.Context, rate int, long time.Duration) (time.Duration, error) {
	began := time.Now()
	all := int(long.Seconds() * float64(rate))
	ready := make([]syscall.EpollEvent, most)
	for sent := 0; len(a.times) < all; {
		if ctx.Err() != nil || time.Since(began) > long+patience {
			return 0, fmt.Errorf("%d of %d requests were answered: %w", len(a.times), all, cmpErr(ctx))
		}
		for ; sent < all; sent++ {
			due := began.Add(time.Duration(sent) * time.Second / time.Duration(rate))
			if time.Now().Before(due) {
				break
			}
			if len(a.free) == 0 && len(a.by) < most {
				if err := a.connect(); err != nil {
					return 0, err
				}
			}
			if len(a.free) == 0 {
				break // it is due all the same: its time runs
			}
			one := a.free[len(a.free)-1]
			a.free = a.free[:len(a.free)-1]
			one.due, one.answer = due, one.answer[:0]
			text := a.requests[sent%len(a.requests)]
			if n, err := syscall.Write(int(one.fd), text); err != nil || n < len(text) {
				return 0, fmt.Errorf("send a request: %d of %d bytes: %w", n, len(text), err)
			}
		}
		n, err := syscall.EpollWait(a.poll, ready, 1)
		if err != nil && !errors.Is(err, syscall.EINTR) {
			return 0, os.NewSyscallError("epoll_wait", err)
		}
		for _, r := range ready[:max(n, 0)] {
			if err := a.take(a.by[r.Fd], int(r.Fd)); err != nil {
				return 0, err
			}
		}
	}
	return time.Since(began), nil
}

// forget begins to count anew.
func (a *askers) forget() {
	a.times, a.well = a.times[:0], 0
	clear(a.failures)
}

func cmpErr(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return errors.New("the server does not keep up")
}

func (a *askers) take(one *asker, fd int) error {
	for {
		n, err := syscall.Read(fd, a.read)
		switch {
		case errors.Is(err, syscall.EAGAIN):
			return nil
		case err != nil:
			return os.NewSyscallError("read", err)
		case n == 0:
			return errors.New("the server has closed a connection")
		}
		one.answer = append(one.answer, a.read[:n]...)
		if n < len(a.read) {
			break
		}
	}
	status, whole := answered(one.answer)
	if !whole {
		return nil
	}
	a.times = append(a.times, time.Since(one.due))
	if status == "200" {
		a.well++
	} else {
		a.failures[status]++
	}
	a.free = append(a.free, one)
	return nil
}

// answered reads the status of an answer that is there whole (RFC 9112).
func answered(text []byte) (status string, whole bool) {
	head, body, ended := bytes.Cut(text, []byte("\r\n\r\n"))
	if !ended || len(head) < len("HTTP/1.1 200") {
		return "", false
	}
	status = string(head[len("HTTP/1.1 "):len("HTTP/1.1 200")])
	if _, after, sized := bytes.Cut(head, []byte("\r\nContent-Length: ")); sized {
		size, _, _ := bytes.Cut(after, []byte("\r\n"))
		n, err := strconv.Atoi(string(size))
		return status, err == nil && len(body) >= n
	}
	return status, bytes.HasSuffix(body, []byte("0\r\n\r\n")) // of chunks
}
