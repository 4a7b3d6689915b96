package node

import (
	"context"
	"time"
)

// Result is what a run decided: an output, or what the engine should do next.
// Make one with the functions of this file; the zero Result is an output of
// nil on the default handle.
type Result struct {
	Value   any
	Handles []string // handles that deliver Value; empty means "output"
	Usage   Usage

	Park    *Park
	Each    *Iteration
	Child   *ChildStart
	Stop    *StopOrder
	Respond *Response
}

// Park leaves the node waiting; no goroutine and no memory is held.
type Park struct {
	Until time.Time // wake then; zero means only an answer wakes it
	Asks  []Ask     // wake when one of them is answered or expired
}

// Iteration runs the node's body once per item.
type Iteration struct {
	Items []any
	// Next yields items one by one in place of Items. previous is the output
	// of the round before (nil in the first).
	Next            func(ctx context.Context, index int, previous any) (item any, more bool, err error)
	Parallel        int // rounds at the same time; at least 1
	ContinueOnError bool
	// MaxItems bounds the rounds; over it the node fails. 0 means 100,000.
	MaxItems int
	// Spread lets rounds of Items run in executions of their own, on any worker.
	Spread bool
}

// ChildStart starts another workflow.
type ChildStart struct {
	// Name, when set, is what the node knows this child by: Resume says it back,
	// and a node that starts one of the same name again, having been cut off in
	// between, finds the first. What keeps it from starting is told to the node
	// then, with Resume.Err.
	Name       string `json:",omitempty"`
	WorkflowID string
	Input      any
	Wait       bool // false: go on at once with {execution_id}
}

// StopOrder ends the whole execution.
type StopOrder struct {
	Failed  bool
	Message string
	Output  any
}

// Response answers the webhook call that started the execution.
type Response struct {
	Status  int               `json:"status"`
	Headers map[string]string `json:"headers,omitempty"`
	Body    any               `json:"body"`
}

// Output answers with a value on a handle; "" is the default one.
func Output(handle string, v any) Result {
	if handle == "" || handle == DefaultOutput {
		return Result{Value: v}
	}
	return Result{Value: v, Handles: []string{handle}}
}

// OutputOn answers with a value on several handles at once; with none, every
// branch after the node is dead.
func OutputOn(handles []string, v any) Result {
	if handles == nil {
		handles = []string{}
	}
	return Result{Value: v, Handles: handles}
}

// Sleep parks the node until the time; it then runs again with Resume.Reason "timer".
func Sleep(until time.Time) Result { return Result{Park: &Park{Until: until}} }

// Each runs the node's body for each item; the node's output is then
// {items: [the rounds' outputs in the items' order], errors: [{index, error}]}.
func Each(it Iteration) Result { return Result{Each: &it} }

// Child starts another workflow; with wait the node goes on when it has ended,
// with Resume.Reason "child".
func Child(workflowID string, input any, wait bool) Result {
	return Result{Child: &ChildStart{WorkflowID: workflowID, Input: input, Wait: wait}}
}

// Stop ends the execution as completed, with the output.
func Stop(output any) Result { return Result{Stop: &StopOrder{Output: output}, Value: output} }

// StopFailed ends the execution as failed, with the message.
func StopFailed(message string, output any) Result {
	return Result{Stop: &StopOrder{Failed: true, Message: message, Output: output}, Value: output}
}

// Reply answers the call that started the execution, and goes on; the node's
// output is the response's body.
func Reply(r Response) Result { return Result{Respond: &r, Value: r.Body} }
