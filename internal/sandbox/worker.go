package sandbox

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"runtime/debug"
	"sync"
	"syscall"
	"time"
)

// question is what a worker is asked, answer what it says. Each goes as JSON
// behind its length in four bytes.
type question struct {
	Program string        `json:"program"`
	Timeout time.Duration `json:"timeout"`
	Memory  int           `json:"memory"`
}

type answer struct {
	Text  string `json:"text"`
	Error string `json:"error,omitempty"`
	Last  bool   `json:"last,omitempty"` // the worker ends now
}

// maxFrame bounds both, in bytes.
const maxFrame = 256 << 20

var errDied = errors.New("the worker died")

// worker is a process that runs one program at a time.
type worker struct {
	command *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
	since   time.Time // idle
	end     sync.Once
}

// start starts a worker, which knows nothing of our environment.
func start(command []string) (*worker, error) {
	if len(command) == 0 {
		return nil, errors.New("the sandbox has no command that starts its workers")
	}
	cmd := exec.Command(command[0], command[1:]...) //nolint:gosec,noctx // ourselves; it lives longer than whoever needs it first
	cmd.Args[0] = os.Args[0]                        // a program that is several goes by the name it was called by
	cmd.Env = []string{"GOTRACEBACK=none", "GOMAXPROCS=2", "SYSTEMROOT=" + os.Getenv("SYSTEMROOT")}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start a worker of the sandbox: %w", err)
	}
	return &worker{command: cmd, in: in, out: bufio.NewReader(out)}, nil
}

// ask has the worker run a program. It is killed when ctx ends.
func (w *worker) ask(ctx context.Context, q question) (a answer, err error) {
	killed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() { defer close(killed); _ = w.command.Process.Kill() })
	defer func() {
		if !stop() {
			<-killed
		}
	}()
	if err = send(w.in, q); err == nil {
		err = receive(w.out, &a)
	}
	if err != nil {
		return a, fmt.Errorf("%w: %w", errDied, err)
	}
	return a, nil
}

// kill ends the process and waits for that.
func (w *worker) kill() {
	w.end.Do(func() {
		_ = w.command.Process.Kill() // it may have ended
		_ = w.command.Wait()         // as it was killed
	})
}

func send(to io.Writer, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = to.Write(append(binary.BigEndian.AppendUint32(make([]byte, 0, len(text)+4), uint32(len(text))), text...))
	return err
}

func receive(from io.Reader, v any) error {
	var size [4]byte
	if _, err := io.ReadFull(from, size[:]); err != nil {
		return err
	}
	n := binary.BigEndian.Uint32(size[:])
	if n > maxFrame {
		return fmt.Errorf("a frame of %d bytes", n)
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(from, text); err != nil {
		return err
	}
	return json.Unmarshal(text, v)
}

// Bounds of a worker's process, beside those of each program's interpreter.
const (
	maxStack = 128 << 20 // of a goroutine; more ends the process
	maxData  = 768 << 20 // of memory, where the system can bound it; more ends the process
	softHeap = 256 << 20 // from here on memory is collected eagerly
	tired    = 160 << 20 // what was taken from the system when a worker is used up
)

// Serve is a worker: it runs the programs that from brings until there are no
// more, and returns the process's exit code. Whoever asks it ends it; a program
// that does not end ends the process all the same, a little after its time.
func Serve(from io.Reader, to io.Writer) int {
	signal.Ignore(os.Interrupt, syscall.SIGTERM) // meant for whoever asks us, who finishes first
	debug.SetMaxStack(maxStack)
	debug.SetMemoryLimit(softHeap)
	bound(maxData)
	in := bufio.NewReader(from)
	for {
		var q question
		if err := receive(in, &q); err != nil {
			if errors.Is(err, io.EOF) {
				return 0
			}
			return 1
		}
		a := serve(q)
		if err := send(to, a); err != nil {
			return 1
		}
		if a.Last {
			return 0
		}
	}
}

// serve runs a program.
func serve(q question) (a answer) {
	watchdog := time.AfterFunc(q.Timeout+2*late, func() { os.Exit(1) })
	defer watchdog.Stop()
	text, err := interpret(context.Background(), q.Program, Limits{Timeout: q.Timeout, Memory: q.Memory})
	if a.Text = text; err != nil {
		a.Error = err.Error()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	a.Last = m.Sys-m.HeapReleased > tired
	return a
}
