//go:build unix && !linux

package client

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
)

// Supervise runs a command, and returns its exit code when it and everything
// in its process group are gone. They are killed when the command ends, when
// whoever holds the other end of file descriptor 3 closes it or dies, and on
// SIGTERM. Call it from main, and end with what it returns.
func Supervise(command []string) int {
	if len(command) == 0 {
		fmt.Fprintln(os.Stderr, "there is no command")
		return 2
	}
	syscall.CloseOnExec(3)
	cmd := exec.Command(command[0], command[1:]...) //nolint:noctx // it ends with this process
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		fmt.Fprintln(os.Stderr, "start the program:", err)
		return 127
	}
	kill := func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	go func() {
		_, _ = io.Copy(io.Discard, os.NewFile(3, "life"))
		kill()
	}()
	stopped := make(chan os.Signal, 1)
	signal.Notify(stopped, syscall.SIGTERM)
	signal.Ignore(syscall.SIGINT, syscall.SIGHUP, syscall.SIGPIPE)
	go func() {
		<-stopped
		kill()
	}()
	err := cmd.Wait()
	kill()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return max(exit.ExitCode(), 1)
	}
	return 0
}
