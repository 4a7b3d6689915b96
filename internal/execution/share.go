package execution

import "encoding/json"

// TriggerSplit is the trigger type of shares: executions that nobody has
// started, but a split that is spread over the workers. A share belongs to its
// parent: it is listed, kept and removed with it, and its end starts nothing.
const TriggerSplit = "split"

// IsShare reports whether the execution is a share of a split.
func (e *Execution) IsShare() bool { return e.TriggerType == TriggerSplit }

// Share is the trigger data of a share: which items it runs its parent's node
// for, and where it finds what the body may see. The node and its iteration
// are the execution's ParentNode and ParentIteration.
type Share struct {
	// Origin is the execution that the author knows: the first one above that
	// is no share.
	Origin      string            `json:"origin"`
	From        int               `json:"from"` // index of the first item
	Items       []json.RawMessage `json:"items"`
	Parallel    int               `json:"parallel"`
	MaxParallel int               `json:"max_parallel,omitempty"` // nodes at a time; 0: as the engine says
	Continue    bool              `json:"continue,omitempty"`
	// Level counts the shares above this one.
	Level int `json:"level,omitempty"`
	// Outer are the rounds around the split, outermost first.
	Outer []Outer `json:"outer"`
}

// Outer is a round around a split, and its nodes that had ended when the split
// began, as far as the body reads them: their rows do not change any more.
type Outer struct {
	ExecutionID string   `json:"execution_id"`
	Iteration   string   `json:"iteration,omitempty"`
	Nodes       []string `json:"nodes,omitempty"`
}

// Shares is how far a split is that is spread over the workers. Share k runs
// the items from k*Size on.
type Shares struct {
	Items       int         `json:"items"`
	Size        int         `json:"size"`     // items of a share; the last one may have fewer
	Parallel    int         `json:"parallel"` // items at work at the same time, over all shares
	MaxParallel int         `json:"max_parallel,omitempty"`
	Slots       int         `json:"slots"` // shares that Parallel is divided between
	Continue    bool        `json:"continue,omitempty"`
	Opened      int         `json:"opened"`         // shares begun, from the first on
	Open        []OpenShare `json:"open,omitempty"` // those of them that have not ended
	Completed   int         `json:"completed"`      // items of the shares that have ended
	Failed      int         `json:"failed"`
	// Outer is what every share gets.
	Outer []Outer `json:"outer,omitempty"`
}

// OpenShare is a share that has not ended, and the worker it was begun for.
type OpenShare struct {
	Share  int    `json:"share"`
	Worker string `json:"worker,omitempty"`
}

// Idlest returns the worker that the fewest open shares are for; "" when there
// are none to choose from.
func (s *Shares) Idlest(workers []string) string {
	if len(workers) == 0 {
		return ""
	}
	busy := map[string]int{}
	for _, o := range s.Open {
		busy[o.Worker]++
	}
	best := workers[s.Opened%len(workers)] // of those that are the same, not always the first
	for _, w := range workers {
		if busy[w] < busy[best] {
			best = w
		}
	}
	return best
}

// Left reports whether there are items that no share was begun for.
func (s *Shares) Left() bool { return s.Opened*s.Size < s.Items }

// Range returns the items of a share: from the first to before the last.
func (s *Shares) Range(share int) (from, to int) {
	return share * s.Size, min((share+1)*s.Size, s.Items)
}

// Portion returns a share's part of Parallel.
func (s *Shares) Portion(share int) int { return portion(s.Parallel, s.Slots, share) }

// NodePortion returns a share's part of MaxParallel; 0 when there is none.
func (s *Shares) NodePortion(share int) int {
	if s.MaxParallel == 0 {
		return 0
	}
	return portion(s.MaxParallel, s.Slots, share)
}

func portion(whole, slots, share int) int {
	if share%slots < whole%slots {
		return whole/slots + 1
	}
	return max(whole/slots, 1)
}

// Room reports whether the next share may begin: the parts of those that are
// open and its own are within Parallel.
func (s *Shares) Room() bool {
	atWork := s.Portion(s.Opened)
	for _, o := range s.Open {
		atWork += s.Portion(o.Share)
	}
	return atWork <= s.Parallel
}
