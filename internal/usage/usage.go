// Package usage records what the calls to models and tools cost: one record
// per call, whatever became of it.
package usage

import (
	"context"
	"time"
)

// Outcome is what became of a call.
type Outcome string

// The outcomes.
const (
	Answered  Outcome = "answered"
	Refused   Outcome = "refused"   // the model declined to answer
	Failed    Outcome = "failed"    // an error; see Record.ErrorCode
	Cancelled Outcome = "cancelled" // the caller did not want the answer any more
)

// Record is one call to a model, or, with a Tool, to a tool.
type Record struct {
	ID          string // made by the sink when empty
	UserID      string
	WorkspaceID string
	WorkflowID  string
	ExecutionID string
	NodeID      string
	Agent       string   // id of the saved agent
	Above       []string // ids of the agents that called it, the outermost first
	APIKeyID    string   // of the key that started it; empty for people and triggers
	Tool        string
	Provider    string
	Model       string // without the provider
	// Kind is what was made beside text: image, speech, transcription; "" of
	// language models and tools. Units are its pictures, characters, or
	// milliseconds of a recording.
	Kind       string
	Units      int64
	Input      int64 // tokens; without what was read from or written to the cache
	Output     int64
	Reasoning  int64 // the part of Output that was thinking, where the provider says so
	CacheRead  int64
	CacheWrite int64
	CostMicros *int64 // micro-dollars; nil when no price is known
	Latency    time.Duration
	// FirstToken is the time to the first piece of the answer; 0 when none came.
	FirstToken time.Duration
	Outcome    Outcome
	ErrorCode  string // of a failed call: the fault's code, else its kind
	At         time.Time
}

// Sink takes records in. Implementations are safe for concurrent use, return
// quickly and never fail the call that is recorded.
type Sink interface {
	Record(ctx context.Context, r Record)
}

// Discard is a sink that keeps nothing.
type Discard struct{}

// Record implements Sink.
func (Discard) Record(context.Context, Record) {}
