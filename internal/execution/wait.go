package execution

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"agentstudio/internal/access"
	"agentstudio/internal/event"
	"agentstudio/internal/fault"
)

// Wait returns the execution once it is over, or has said its response when
// responded is set, or as it is when the limit passes.
func (s *Service) Wait(ctx context.Context, workspaceID string, sub event.Subscription, id string, responded bool, limit time.Duration) (*Execution, error) {
	return s.wait(ctx, workspaceID, sub, id, nil, responded, limit)
}

// wait also hears what the engine of this process says, which comes before the
// event.
func (s *Service) wait(ctx context.Context, workspaceID string, sub event.Subscription, id string, told <-chan *Execution, responded bool, limit time.Duration) (*Execution, error) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	answers := func(x *Execution) bool { return x.Status.Over() || responded && x.Response != nil }
	for {
		select {
		case x := <-told:
			if answers(x) {
				return x, nil
			}
		case e := <-sub.C():
			if !sub.Lagged() && (e.Type != event.ExecutionUpdate || e.Name == "status_changed" && !isOver(e.Data)) {
				continue
			}
			select {
			case x := <-told:
				if answers(x) {
					return x, nil
				}
			default:
			}
			x, err := s.store.Find(ctx, workspaceID, id)
			if err != nil || answers(x) {
				return x, err
			}
		case <-timer.C:
			return s.store.Find(ctx, workspaceID, id)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func isOver(data json.RawMessage) bool {
	var e struct {
		Status Status `json:"status"`
	}
	return json.Unmarshal(data, &e) == nil && e.Status.Over()
}

// Run starts an execution and waits for it as Wait does.
func (s *Service) Run(ctx context.Context, by access.Actor, in StartInput, responded bool, limit time.Duration) (*Execution, error) {
	if err := by.Need(in.WorkspaceID, access.Execute); err != nil {
		return nil, err
	}
	e, err := s.prepare(ctx, by, in)
	if err != nil {
		return nil, err
	}
	sub := s.bus.Subscribe(event.ExecutionRoom(e.ID))
	defer sub.Close()
	told := s.waiters.await(e.ID)
	defer s.waiters.leave(e.ID)
	id, created, err := s.createHere(ctx, e)
	if err != nil {
		return nil, err
	}
	if !created {
		sub.Add(event.ExecutionRoom(id))
		if x, err := s.store.Find(ctx, in.WorkspaceID, id); err != nil || x.Status.Over() || responded && x.Response != nil {
			return x, err
		}
		return s.Wait(ctx, in.WorkspaceID, sub, id, responded, limit)
	}
	s.Accepted(e)
	return s.wait(ctx, in.WorkspaceID, sub, e.ID, told, responded, limit)
}

// createHere has this process run the execution when it may: a caller who
// waits is answered without a way through the queue.
func (s *Service) createHere(ctx context.Context, e *New) (id string, created bool, err error) {
	if s.cfg.Host != nil && e.IdempotencyKey == "" && e.Place == nil && e.ScheduledAt.IsZero() {
		if host := s.cfg.Host(); host != "" {
			e.Worker, e.Hosted = host, true
			id, created, err = s.store.Create(ctx, *e)
			if !fault.Is(err, fault.Stale) {
				return id, created, err
			}
			e.Worker, e.Hosted = s.cfg.Leased, false
		}
	}
	return s.store.Create(ctx, *e)
}

// Outcome tells those who wait here for the execution how it stands. The
// engine calls it when a commit has ended it or kept its response; x must not
// change afterwards.
func (s *Service) Outcome(x *Execution) { s.waiters.tell(x) }

// waiters are callers of this process that wait for an execution.
type waiters struct {
	mu sync.Mutex
	by map[string]chan *Execution
}

func (w *waiters) await(id string) <-chan *Execution {
	c := make(chan *Execution, 2) // its response and its end
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.by == nil {
		w.by = map[string]chan *Execution{}
	}
	w.by[id] = c
	return c
}

func (w *waiters) leave(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.by, id)
}

func (w *waiters) tell(x *Execution) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.by[x.ID]
	if c == nil {
		return
	}
	select {
	case c <- x:
	default: // it has heard enough to look itself
	}
}
