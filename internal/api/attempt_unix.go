//go:build unix

package api

import (
	"errors"
	"net"
	"syscall"
)

// attempt writes to a connection what it takes without waiting. Nobody else may
// write to it meanwhile.
type attempt struct {
	conn syscall.RawConn // nil for what is no socket itself, such as TLS: nothing is taken
}

func newAttempt(conn net.Conn) attempt {
	if socket, ok := conn.(syscall.Conn); ok {
		if raw, err := socket.SyscallConn(); err == nil {
			return attempt{raw}
		}
	}
	return attempt{}
}

func (a attempt) write(p []byte) (n int, err error) {
	if a.conn == nil {
		return 0, nil
	}
	gone := a.conn.Control(func(fd uintptr) { n, err = syscall.Write(int(fd), p) })
	switch {
	case gone != nil:
		return 0, gone
	case errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.EINTR):
		return 0, nil
	}
	return max(n, 0), err
}
