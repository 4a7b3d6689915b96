package engine_test

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	measured "agentstudio/bench/studio"
	"agentstudio/internal/event"
	"agentstudio/internal/execution"
	"agentstudio/internal/store"
	"agentstudio/internal/store/storetest"
)

// cpu returns the processor time this process has used.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkChainOfTen runs chains of ten nodes, each durable, 256 at a time,
// without HTTP: from the commit that accepts an execution to the one that ends
// it. cpu-ms/op is the processor time of one execution, the database included
// on SQLite, and without the server on PostgreSQL.
func BenchmarkChainOfTen(b *testing.B) {
	for name, open := range map[string]func(testing.TB) *store.DB{"sqlite": storetest.SQLite, "postgres": storetest.Postgres} {
		b.Run(name, func(b *testing.B) { benchmarkChain(b, start(b, open(b), newProbes(), nil)) })
	}
	b.Run("river", func(b *testing.B) { benchmarkChain(b, startShared(b, storetest.PostgresURL(b), newProbes(), nil)) })
}

func benchmarkChain(b *testing.B, s *studio) {
	defer debug.SetGCPercent(debug.SetGCPercent(500)) // what the server does under load
	var text strings.Builder
	text.WriteString("name: chain\nnodes:\n- {id: n0, kind: manual-trigger}\n")
	links := "connections:\n"
	for i := 1; i < 10; i++ {
		text.WriteString("- {id: n" + strconv.Itoa(i) + ", kind: set, config: {keep_input: true, values: {v" + strconv.Itoa(i) + ": \"{{ trigger.n + " + strconv.Itoa(i) + " }}\"}}}\n")
		links += "- {source: n" + strconv.Itoa(i-1) + ", target: n" + strconv.Itoa(i) + "}\n"
	}
	id := s.define(text.String() + links)
	slots := make(chan struct{}, 256)
	ended := make(chan error, 256)
	sub := s.bus.Subscribe(event.WorkspaceRoom("w"))
	defer sub.Close()
	go func() {
		for e := range sub.C() {
			if e.Type == "" {
				continue // it only wakes
			}
			var data struct{ Status execution.Status }
			err := json.Unmarshal(e.Data, &data)
			if err != nil || data.Status.Over() {
				if err == nil && data.Status != execution.Completed {
					err = fmt.Errorf("an execution is %s: %s", data.Status, e.Data)
				}
				ended <- err
			}
		}
	}()
	before, server := cpu(b), serverCPU(b, s.db)
	b.ResetTimer()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range b.N {
			if err := <-ended; err != nil {
				b.Error(err)
			}
			<-slots
		}
	}()
	for i := range b.N {
		slots <- struct{}{}
		x := execution.Execution{ID: newID(), WorkspaceID: "w", WorkflowID: id, WorkflowName: id, WorkflowVersion: 1, Status: execution.Pending,
			TriggerType: "manual", TriggerData: json.RawMessage(`{"n":` + strconv.Itoa(i) + `}`), CreatedAt: time.Now(), Epoch: 1, Worker: "local"}
		go func() {
			if _, _, err := s.store.Create(context.Background(), execution.New{Execution: x}); err != nil {
				b.Error(err)
			}
			s.disp.Announce(execution.Ticket{ID: x.ID, WorkspaceID: "w", Fresh: &x})
		}()
	}
	<-done
	b.StopTimer()
	b.ReportMetric((cpu(b)-before).Seconds()*1000/float64(b.N), "cpu-ms/op")
	if s.db.Dialect() == store.Postgres {
		b.ReportMetric((serverCPU(b, s.db)-server).Seconds()*1000/float64(b.N), "server-cpu-ms/op")
	}
	kept(b, s, b.N)
}

// serverCPU returns the processor time of PostgreSQL; nothing on SQLite.
func serverCPU(b *testing.B, db *store.DB) time.Duration {
	b.Helper()
	if db.Dialect() != store.Postgres {
		return 0
	}
	spent, err := measured.PostgresCPU(context.Background(), db)
	if err != nil {
		b.Fatal(err)
	}
	return spent
}

// kept checks that every execution and all of its nodes are in the tables.
func kept(b *testing.B, s *studio, executions int) {
	for query, want := range map[string]int{
		`SELECT count(*) FROM executions WHERE status = 'completed'`:      executions,
		`SELECT count(*) FROM node_executions WHERE status = 'completed'`: 10 * executions,
	} {
		var got int
		if err := s.db.Read().QueryRowContext(context.Background(), query).Scan(&got); err != nil || got != want {
			b.Errorf("%s: %d (%v), want %d", query, got, err, want)
		}
	}
}
