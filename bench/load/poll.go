//go:build linux

package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
)

// edge is EPOLLET, whose constant has a sign that no field has room for.
const edge = 1 << 31

// descriptor is a connection that Go's own poller knows nothing of: it would be
// woken for whatever arrives there, beside those who wait for it.
type descriptor int

// watch lets a poll tell, once, when there is something more to read from a
// connection: whoever is told reads all of it. What it returns is a copy of the
// connection, which the caller may close.
func watch(poll int, conn net.Conn) (descriptor, error) {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return -1, fmt.Errorf("a connection over %T", conn)
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return -1, err
	}
	fd := -1
	var copied error
	if err := raw.Control(func(of uintptr) { fd, copied = syscall.Dup(int(of)) }); err != nil || copied != nil {
		return -1, errors.Join(err, os.NewSyscallError("dup", copied))
	}
	syscall.CloseOnExec(fd)
	if err := syscall.EpollCtl(poll, syscall.EPOLL_CTL_ADD, fd, &syscall.EpollEvent{Events: syscall.EPOLLIN | edge, Fd: int32(fd)}); err != nil {
		return -1, errors.Join(os.NewSyscallError("epoll_ctl", err), descriptor(fd).Close())
	}
	return descriptor(fd), nil
}

// Close implements io.Closer.
func (d descriptor) Close() error { return os.NewSyscallError("close", syscall.Close(int(d))) }
