//go:build linux

package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
)

// watch lets a poll tell when there is something to read from a connection. The
// file is a copy of the connection, which the caller may close.
func watch(poll int, conn net.Conn) (*os.File, error) {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return nil, fmt.Errorf("a connection over %T", conn)
	}
	file, err := tcp.File()
	if err != nil {
		return nil, err
	}
	fd := int(file.Fd())
	err = syscall.SetNonblock(fd, true)
	if err == nil {
		err = syscall.EpollCtl(poll, syscall.EPOLL_CTL_ADD, fd, &syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(fd)})
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}
