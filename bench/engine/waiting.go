package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// crowd parks n executions whose times come evenly over a minute, weighs the
// server, and looks how late each woke; then it parks n that wait for a
// person.
func (b *bench) crowd(n int) func(context.Context) error {
	return func(ctx context.Context) error {
		id, err := b.Create(ctx, chain("Crowd", node("start", "manual-trigger", map[string]any{}), node("wait", "wait", map[string]any{"until": "{{ trigger.at }}"})))
		if err != nil {
			return err
		}
		idle, err := b.Memory()
		if err != nil {
			return err
		}
		const spread = time.Minute
		first := time.Now().Add(time.Duration(n)*time.Millisecond + 30*time.Second) // all are created by then
		cpu, wall, err := b.each(n, 64, func(i int) error {
			at := first.Add(spread * time.Duration(i) / time.Duration(n))
			return b.Call(ctx, http.MethodPost, "/api/v1/executions", map[string]any{"workflow_id": id, "trigger_data": map[string]any{"at": at.UTC().Format(time.RFC3339Nano)}}, nil)
		})
		if err != nil {
			return err
		}
		b.add(fmt.Sprintf("%d executions that wait: created and parked, CPU each", n), fmt.Sprintf("%.2f ms (%.0f/s)", ms(cpu)/float64(n), float64(n)/wall.Seconds()), "")
		if err := b.until(ctx, "/api/v1/executions?limit=1&status=waiting&workflow_id="+id, n); err != nil {
			return err
		}
		if time.Now().After(first) {
			return errors.New("the machine is too slow: the first woke before the last was created")
		}
		if err := sleep(ctx, 6*time.Second); err != nil {
			return err
		}
		rest, err := b.Memory()
		if err != nil {
			return err
		}
		b.add(fmt.Sprintf("resident memory with %d waiting executions, before / while they wait", n), mib(idle)+" / "+mib(rest), "")
		if err := sleep(ctx, time.Until(first.Add(spread))); err != nil {
			return err
		}
		if err := b.until(ctx, "/api/v1/executions?limit=1&status=completed&workflow_id="+id, n); err != nil {
			return err
		}
		late, err := b.lateness(ctx, id)
		if err != nil {
			return err
		}
		b.add(fmt.Sprintf("%d timers over a minute: late by, p50 / p95 / most", len(late)), fmt.Sprintf("%d / %d / %d ms", at(late, 50).Milliseconds(), at(late, 95).Milliseconds(), at(late, 100).Milliseconds()), "")
		return b.asking(ctx, n)
	}
}

// lateness returns how long after its time each execution of a workflow ended.
func (b *bench) lateness(ctx context.Context, workflow string) ([]time.Duration, error) {
	var out []time.Duration
	for cursor := ""; ; {
		var page struct {
			Items []struct {
				ID          string    `json:"id"`
				CompletedAt time.Time `json:"completed_at"`
			} `json:"items"`
			NextCursor string `json:"next_cursor"`
		}
		if err := b.Call(ctx, http.MethodGet, "/api/v1/executions?limit=100&workflow_id="+workflow+"&cursor="+cursor, nil, &page); err != nil {
			return nil, err
		}
		for i, x := range page.Items {
			if i%10 > 0 { // every tenth is enough
				continue
			}
			var whole struct {
				TriggerData struct {
					At time.Time `json:"at"`
				} `json:"trigger_data"`
			}
			if err := b.Call(ctx, http.MethodGet, "/api/v1/executions/"+x.ID, nil, &whole); err != nil {
				return nil, err
			}
			out = append(out, x.CompletedAt.Sub(whole.TriggerData.At))
		}
		if cursor = page.NextCursor; cursor == "" {
			return out, nil
		}
	}
}

// asking parks executions that wait for a person and answers some.
func (b *bench) asking(ctx context.Context, n int) error {
	id, err := b.Create(ctx, chain("Asking", node("start", "manual-trigger", map[string]any{}), node("ok", "approval", map[string]any{"message": "Go on?"})))
	if err != nil {
		return err
	}
	if _, _, err := b.each(n, 64, func(int) error {
		return b.Call(ctx, http.MethodPost, "/api/v1/executions", map[string]any{"workflow_id": id}, nil)
	}); err != nil {
		return err
	}
	if err := b.until(ctx, "/api/v1/approvals?limit=1", n); err != nil {
		return err
	}
	if err := sleep(ctx, 6*time.Second); err != nil {
		return err
	}
	rest, err := b.Memory()
	if err != nil {
		return err
	}
	b.add(fmt.Sprintf("resident memory with %d executions that wait for a decision", n), mib(rest), "")
	var page struct {
		Items []struct {
			ExecutionID string `json:"execution_id"`
		} `json:"items"`
	}
	if err := b.Call(ctx, http.MethodGet, "/api/v1/approvals?limit=100", nil, &page); err != nil {
		return err
	}
	var took []time.Duration
	for _, a := range page.Items {
		began := time.Now()
		if err := b.Call(ctx, http.MethodPost, "/api/v1/executions/"+a.ExecutionID+"/approvals/ok", map[string]any{"decision": "approve"}, nil); err != nil {
			return err
		}
		took = append(took, time.Since(began))
	}
	b.add("a decision among them, whole call, p50 / p95", fmt.Sprintf("%.1f / %.1f ms", ms(at(took, 50)), ms(at(took, 95))), "")
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
