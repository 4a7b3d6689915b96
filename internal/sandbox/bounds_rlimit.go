//go:build (linux || darwin) && !race

package sandbox

import "syscall"

// bound limits the memory of the process, as far as the system does so.
func bound(bytes uint64) {
	_ = syscall.Setrlimit(syscall.RLIMIT_DATA, &syscall.Rlimit{Cur: bytes, Max: bytes}) // the other bounds hold without it
}
