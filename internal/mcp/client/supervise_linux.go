package client

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Supervise runs a command, and returns its exit code when it and everything
// it has started are gone. They are killed when the command ends, when whoever
// holds the other end of file descriptor 3 closes it or dies, on SIGTERM, and,
// the command itself, when this process dies. It changes what the process is
// to its children: call it from main, and end with what it returns.
func Supervise(command []string) int {
	if len(command) == 0 {
		fmt.Fprintln(os.Stderr, "there is no command")
		return 2
	}
	// Orphans of the command become children of this process, wherever they hide.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		fmt.Fprintln(os.Stderr, "become a subreaper:", err)
		return 1
	}
	unix.CloseOnExec(3)
	over := make(chan struct{}, 2)
	go func() {
		_, _ = io.Copy(io.Discard, os.NewFile(3, "life"))
		over <- struct{}{}
	}()
	stopped := make(chan os.Signal, 1)
	signal.Notify(stopped, syscall.SIGTERM)
	signal.Ignore(syscall.SIGINT, syscall.SIGHUP, syscall.SIGPIPE)
	go func() {
		<-stopped
		over <- struct{}{}
	}()

	path, err := exec.LookPath(command[0])
	if err != nil {
		fmt.Fprintln(os.Stderr, "start the program:", err)
		return 127
	}
	runtime.LockOSThread() // the kernel counts the death of the thread, not of the process
	pid, err := syscall.ForkExec(path, command, &syscall.ProcAttr{Env: os.Environ(), Files: []uintptr{0, 1, 2},
		Sys: &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}})
	if err != nil {
		fmt.Fprintln(os.Stderr, "start the program:", err)
		return 126
	}
	letGo() // the pipes are the command's alone
	ended, alone := make(chan syscall.WaitStatus, 1), make(chan struct{})
	go reap(pid, ended, alone)
	code := 137
	select {
	case status := <-ended:
		code = exitCode(status)
	case <-over:
	}
	killAll(alone)
	return code
}

// letGo gives up standard input and output.
func letGo() {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return
	}
	defer null.Close()
	for fd := range 2 {
		_ = unix.Dup3(int(null.Fd()), fd, 0) //nolint:gosec // a descriptor is small
	}
}

// reap waits for every process that becomes a child, and closes alone when
// there is none left.
func reap(pid int, ended chan<- syscall.WaitStatus, alone chan<- struct{}) {
	defer close(alone)
	for {
		var status syscall.WaitStatus
		switch found, err := syscall.Wait4(-1, &status, 0, nil); {
		case err == syscall.EINTR: //nolint:errorlint // a number, never wrapped
		case err != nil:
			return
		case found == pid && (status.Exited() || status.Signaled()):
			ended <- status
		}
	}
}

func exitCode(status syscall.WaitStatus) int {
	if status.Signaled() {
		return 128 + int(status.Signal())
	}
	return status.ExitStatus()
}

// killAll kills every descendant until there is none.
func killAll(alone <-chan struct{}) {
	again := time.NewTicker(2 * time.Millisecond)
	defer again.Stop()
	for range 2500 { // one that cannot be killed is not waited for
		for _, pid := range descendants(os.Getpid()) {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may be gone
		}
		select {
		case <-alone:
			return
		case <-again.C:
		}
	}
}

// descendants are the children of a process, theirs, and so on.
func descendants(of int) []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	children := map[int][]int{}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if parent, ok := parentOf(pid); ok {
			children[parent] = append(children[parent], pid)
		}
	}
	var out []int
	for next := []int{of}; len(next) > 0; next = next[1:] {
		out = append(out, children[next[0]]...)
		next = append(next, children[next[0]]...)
	}
	return out
}

// parentOf reads who has started a process that is alive.
func parentOf(pid int) (int, bool) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, false
	}
	at := strings.LastIndexByte(string(text), ')') // the name before it may hold anything
	if at < 0 {
		return 0, false
	}
	fields := strings.Fields(string(text[at+1:]))
	if len(fields) < 2 || fields[0] == "Z" {
		return 0, false
	}
	parent, err := strconv.Atoi(fields[1])
	return parent, err == nil
}
