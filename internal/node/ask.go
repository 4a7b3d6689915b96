package node

import (
	"encoding/json"
	"time"
)

// Ask is something a node needs from outside before it goes on: a call, a
// person's decision.
type Ask struct {
	Name string `json:"name"` // unique within the node and iteration
	Kind string `json:"kind"` // what it is, for those who show it: callback, approval, permission
	// Callable opens an address that nobody can guess: whoever calls it answers.
	// Without it, people of the workspace answer.
	Callable bool   `json:"callable,omitempty"`
	Message  string `json:"message,omitempty"`
	Subject  any    `json:"subject,omitempty"` // what it is about, shown beside the message; may be nil
	// Form is the JSON Schema that the data of the answer fits; nil: anything.
	Form json.RawMessage `json:"form,omitempty"`
	// FormOptional lets an answer leave the data out.
	FormOptional bool `json:"form_optional,omitempty"`
	// Approvers are ids, addresses or roles of who may answer; empty: everybody
	// who may execute.
	Approvers []string  `json:"approvers,omitempty"`
	Until     time.Time `json:"until,omitzero"` // it is too late then; zero: never
}

// The decisions of answers; a call has none.
const (
	Approved = "approved"
	Rejected = "rejected"
)

// Answer is what came of an Ask.
type Answer struct {
	Expired  bool      `json:"expired,omitempty"`  // nobody has answered in time
	Decision string    `json:"decision,omitempty"` // Approved, Rejected; "" of a call
	Comment  string    `json:"comment,omitempty"`
	Data     any       `json:"data,omitempty"`
	By       string    `json:"by,omitempty"` // address or id of who decided; "" of a call
	Asked    time.Time `json:"asked,omitzero"`
	At       time.Time `json:"at,omitzero"`
}

// Await parks the node until one of the asks is answered or has expired. It
// then runs again and finds the outcome with Host.Answer, however often it is
// taken up. What was asked before under the same name is not asked again.
func Await(asks ...Ask) Result { return Result{Park: &Park{Asks: asks}} }
