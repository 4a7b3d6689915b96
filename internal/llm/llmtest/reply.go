// Package llmtest holds stand-ins for the servers of model providers, written
// from their public wire formats, and the suite every provider passes.
package llmtest

import (
	"net/http"
	"sync"
	"testing"

	"agentstudio/internal/llm"
)

// Reply is what a stand-in answers to one request, streamed where the request
// asks for it. The zero Reply is an empty answer.
type Reply struct {
	Thinking  string
	Signature string
	Text      []string // the pieces it streams in
	ToolCalls []ToolCall
	Stop      llm.StopReason // "": EndTurn, or ToolUse when there are tool calls
	Usage     llm.Usage
	NoUsage   bool // the server does not report its usage

	Status     int    // an error instead of an answer: 400, 401, 429, 500, 529
	ErrorType  string // the provider's word for it
	ErrorText  string
	RetryAfter string // header
	MidError   bool   // the error comes inside the stream, after the first piece

	CutBefore bool // the connection ends before the first piece
	CutAfter  bool // the connection ends after the first piece
	Garbage   bool // a success whose body cannot be read
	Stall     bool // nothing comes until the client goes away
}

// ToolCall is a call in a Reply.
type ToolCall struct {
	ID, Name, Arguments string
}

// Request is one request as it arrived.
type Request struct {
	Path   string
	Header http.Header
	Body   map[string]any // decoded JSON
}

// Journal is what a stand-in was asked, in order, and how it was left. It is
// safe for concurrent use.
type Journal struct {
	mu       sync.Mutex
	requests []Request
	arrived  chan struct{}
	gone     chan struct{}
	once     sync.Once
}

// NewJournal returns an empty journal.
func NewJournal() *Journal {
	return &Journal{arrived: make(chan struct{}), gone: make(chan struct{})}
}

// Add appends a request and returns its number, from 0.
func (j *Journal) Add(r Request) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.requests = append(j.requests, r)
	if len(j.requests) == 1 {
		close(j.arrived)
	}
	return len(j.requests) - 1
}

// Requests returns what arrived so far.
func (j *Journal) Requests() []Request {
	j.mu.Lock()
	defer j.mu.Unlock()
	return append([]Request(nil), j.requests...)
}

// Arrived is closed when the first request has arrived.
func (j *Journal) Arrived() <-chan struct{} { return j.arrived }

// Leave notes that a client closed its connection in the middle of an answer.
func (j *Journal) Leave() { j.once.Do(func() { close(j.gone) }) }

// Left is closed when a client has closed its connection in the middle of an
// answer.
func (j *Journal) Left() <-chan struct{} { return j.gone }

// Stand starts a provider against a stand-in that plays the replies in turn
// (the last one again and again); both end with the test.
type Stand func(t testing.TB, replies ...Reply) (llm.Provider, *Journal)

// testingT is what the stand-ins need of *testing.T.
type testingT interface {
	Helper()
	Cleanup(func())
	Fatalf(format string, args ...any)
}
