//go:build !unix

package client

import (
	"io"

	"agentstudio/internal/fault"
	"agentstudio/internal/mcp"
)

// child is a program; there are none on this system.
type child struct {
	stdin  io.WriteCloser
	stdout io.ReadCloser
}

func start([]string, mcp.Target) (*child, error) {
	return nil, fault.New(fault.NotConfigured, "servers that are programs cannot be started on this system: nothing would end what they start")
}

func (*child) close() {}

func (*child) explain(err error) error { return err }

// Supervise runs nothing on this system.
func Supervise([]string) int { return 1 }
