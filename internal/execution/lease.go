package execution

import "time"

// Worker is a process that runs executions beside others on one database.
type Worker struct {
	ID      string // new with every start of a process
	Name    string
	Host    string
	Version string
	Queues  []string
	// Lease is how long the worker may be silent before others take what it
	// holds.
	Lease time.Duration
}

// Held is an execution that a worker holds.
type Held struct {
	ID    string
	Epoch int64
	Look  bool // somebody wants it to look at its row
}
