// Command chaos kills the server with SIGKILL in the middle of running
// executions, again and again, and counts what was lost and what ran twice:
// go run ./bench/chaos -binary bin/agentstudio -kills 20.
package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"time"
)

func main() {
	o := options{}
	flag.StringVar(&o.binary, "binary", "bin/agentstudio", "the built binary")
	flag.IntVar(&o.kills, "kills", 20, "how often the server is killed")
	flag.IntVar(&o.executions, "executions", 100, "executions under way at each kill")
	flag.StringVar(&o.model, "model-server", "", "address of a server of bench/modelstub; empty: agents use the demo model")
	flag.StringVar(&o.database, "database", "", "address of a PostgreSQL database: workers are killed instead of the one server")
	flag.IntVar(&o.workers, "workers", 3, "with -database: how many run")
	flag.IntVar(&o.freezes, "freezes", 0, "with -database: how often a worker is frozen past its lease and thawed")
	flag.DurationVar(&o.every, "every", 1500*time.Millisecond, "with -database: the longest time between two kills")
	flag.StringVar(&o.breaks, "fault", "", "break something else, -kills times: postgres, redis, disk, stop or clients")
	flag.BoolVar(&o.inside, "inside", false, "with -fault disk: this is the run that may mount; set by the program itself")
	flag.BoolVar(&o.accept, "accept", false, "kill while webhooks are being accepted, and look at each that was answered")
	flag.Uint64Var(&o.seed, "seed", 1, "of the random moments")
	flag.Parse()
	ctx, cancel := context.WithTimeout(context.Background(), 40*time.Minute)
	defer cancel()
	sum, err := run(ctx, o, rand.New(rand.NewPCG(o.seed, 0)))
	if err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
	fmt.Print(sum)
	if !sum.clean() {
		os.Exit(1)
	}
}

type options struct {
	binary, model     string
	database          string
	kills, executions int
	workers, freezes  int
	accept            bool
	breaks            string
	inside            bool
	every             time.Duration
	seed              uint64
}

// summary is what all the kills together showed.
type summary struct {
	kills, executions int
	finished          int // nodes that were committed at a kill
	steps             int // answers of models and results of tools that were
	lost              int // executions that did not complete
	again             int // committed nodes whose effect was seen again
	asked             int // committed turns that were asked for again
	inFlight          int // effects of nodes in flight at a kill that ran again
	ready, rest       []time.Duration
	taken             []time.Duration // from the death of a worker until others run what it held
	held, dropped     int             // executions that killed workers held; leases that frozen workers found lost

	// Of the faults that are no kills.
	load    string // what was answered meanwhile
	wrong   int    // answers that nobody should get, untrue ones of /readyz among them
	doubled int    // executions started once more by a request with the same key
	died    int    // processes that ended by themselves
	notes   string
	// elsewhere: a child of this process has shown the summary.
	elsewhere bool
}

func (s *summary) clean() bool {
	return s.lost == 0 && s.again == 0 && s.asked == 0 && s.wrong == 0 && s.doubled == 0 && s.died == 0
}

// String shows the summary to people.
func (s *summary) String() string {
	switch {
	case s.elsewhere:
		return ""
	case s.load != "":
		return s.faults()
	}
	return fmt.Sprintf(`%d kills, %d executions
committed when killed: %d nodes, %d steps of agents
lost executions: %d
finished nodes run again: %d
answered turns asked for again: %d
nodes in flight that ran again, with the same key: %d
%s`, s.kills, s.executions, s.finished, s.steps, s.lost, s.again, s.asked, s.inFlight, s.times())
}

// faults shows a mode of -fault.
func (s *summary) faults() string {
	return fmt.Sprintf(`%d faults, %d executions accepted
%slost executions: %d
finished nodes run again: %d
answered turns asked for again: %d
started again by a request with the same key: %d
nodes in flight that ran again, with the same key: %d
processes of ours that ended by themselves: %d
the end of the load → everything done: %s
%s`, s.kills, s.executions, s.load, s.lost, s.again, s.asked, s.doubled, s.inFlight, s.died, worst(s.rest), s.notes)
}

func (s *summary) times() string {
	if len(s.taken) > 0 {
		return fmt.Sprintf(`executions held by workers when they died: %d; leases that frozen workers found lost: %d
worker silent → what it held runs elsewhere: median %s, worst %s
`, s.held, s.dropped, middle(s.taken), worst(s.taken))
	}
	return fmt.Sprintf(`restart → ready: median %s, worst %s
restart → all of the killed executions done: median %s, worst %s
`, middle(s.ready), worst(s.ready), middle(s.rest), worst(s.rest))
}
