package builtin_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"agentstudio/internal/fault"
	"agentstudio/internal/node"
	"agentstudio/internal/node/builtin"
	"agentstudio/internal/node/nodetest"

	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "rewrite the golden stories")

var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// story is one section of testdata/<kind>.txtar; what came of it stands in the
// section of the same name with .want.
type story struct {
	Config  map[string]any `json:"config"`
	Input   any            `json:"input"`
	Trigger any            `json:"trigger"`
	Arrived []arrival      `json:"arrived"`
	Resume  *struct {
		Reason string `json:"reason"`
		Data   any    `json:"data"`
		Failed string `json:"failed"`
	} `json:"resume"`
	Answers map[string]node.Answer `json:"answers"`
	Depth   int                    `json:"depth"`
}

type arrival struct {
	From  string `json:"from"`
	Value any    `json:"value"`
}

type outcome struct {
	Check   []fault.Detail   `json:"check,omitempty"`
	Fault   *failure         `json:"fault,omitempty"`
	Output  any              `json:"output,omitempty"`
	Handles []string         `json:"handles,omitempty"`
	Until   string           `json:"until,omitempty"`
	Asks    []node.Ask       `json:"asks,omitempty"`
	Each    map[string]any   `json:"each,omitempty"`
	Child   *node.ChildStart `json:"child,omitempty"`
	Stop    *node.StopOrder  `json:"stop,omitempty"`
	Respond *node.Response   `json:"respond,omitempty"`
	Arms    *node.Arming     `json:"arms,omitempty"`
	Logs    []nodetest.Line  `json:"logs,omitempty"`
	Shape   map[string]any   `json:"shape,omitempty"`
	Tokens  *node.Usage      `json:"usage,omitempty"`
}

type failure struct {
	Kind    fault.Kind `json:"kind"`
	Code    string     `json:"code,omitempty"`
	Message string     `json:"message"`
}

func TestEveryKindTellsItsStories(t *testing.T) {
	for _, kind := range testKinds(t).All() {
		t.Run(kind.Spec().Kind, func(t *testing.T) {
			path := filepath.Join("testdata", kind.Spec().Kind+".txtar")
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatalf("every kind has its stories: %v", err)
			}
			told := retell(t, kind, txtar.Parse(text))
			if *update {
				if err := os.WriteFile(path, told, 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if !bytes.Equal(text, told) {
				t.Errorf("%s tells another story now (run with -update and read the difference):\n%s", path, told)
			}
		})
	}
}

func retell(t *testing.T, kind node.Type, archive *txtar.Archive) []byte {
	told := &txtar.Archive{Comment: archive.Comment}
	for _, section := range archive.Files {
		if strings.HasSuffix(section.Name, ".want") {
			continue
		}
		var s story
		decoder := json.NewDecoder(bytes.NewReader(section.Data))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&s); err != nil {
			t.Fatalf("story %q: %v", section.Name, err)
		}
		var want bytes.Buffer
		encoder := json.NewEncoder(&want)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(tell(t, kind, s)); err != nil {
			t.Fatal(err)
		}
		told.Files = append(told.Files, section, txtar.File{Name: section.Name + ".want", Data: want.Bytes()})
	}
	if len(told.Files) == 0 {
		t.Fatal("the file has no story")
	}
	return txtar.Format(told)
}

func tell(t *testing.T, kind node.Type, s story) outcome {
	cfg, err := kind.Decode(s.Config)
	if err != nil {
		return outcome{Fault: failed(err)}
	}
	var out outcome
	if out.Check = kind.Check(cfg); out.Check != nil {
		return out
	}
	host := nodetest.New(map[string]any{"input": s.Input, "trigger": s.Trigger, "nodes": map[string]any{}, "vars": map[string]any{}})
	host.Answers = s.Answers
	result, err := kind.Run(context.Background(), call(host, s), cfg)
	out.Logs = host.Logs()
	if err != nil {
		out.Fault = failed(err)
		return out
	}
	if armer, ok := cfg.(node.Armer); ok {
		arming := armer.Arm()
		out.Arms = &arming
	}
	describeShape(&out, cfg)
	describeResult(t, &out, result)
	return out
}

func call(host node.Host, s story) node.Call {
	c := node.Call{Host: host, ExecutionID: "e1", NodeID: "n1", Key: "e1/n1/", WorkspaceID: "w1", UserID: "u1", Attempt: 1, Input: s.Input, Trigger: s.Trigger, Depth: s.Depth}
	for _, a := range s.Arrived {
		c.Arrived = append(c.Arrived, node.Arrival{Source: a.From, Value: a.Value})
	}
	if s.Resume != nil {
		c.Resume = &node.Resume{Reason: s.Resume.Reason, Data: s.Resume.Data}
		if s.Resume.Failed != "" {
			c.Resume.Err = fault.New(fault.Upstream, "%s", s.Resume.Failed)
		}
	}
	return c
}

func describeShape(out *outcome, cfg any) {
	shape := map[string]any{}
	if brancher, ok := cfg.(node.Brancher); ok {
		shape["handles"] = brancher.Handles()
	}
	if joiner, ok := cfg.(node.Joiner); ok {
		shape["join"] = joiner.Join()
	}
	if schemer, ok := cfg.(node.InputSchemer); ok && schemer.InputSchema() != nil {
		shape["input_schema"] = schemer.InputSchema()
	}
	if references, ok := cfg.(node.References); ok {
		shape["workflows"] = references.WorkflowIDs()
	}
	if len(shape) > 0 {
		out.Shape = shape
	}
}

func describeResult(t *testing.T, out *outcome, r node.Result) {
	out.Output, out.Handles, out.Child, out.Stop, out.Respond = r.Value, r.Handles, r.Child, r.Stop, r.Respond
	if r.Usage != (node.Usage{}) {
		out.Tokens = &r.Usage
	}
	if r.Park != nil {
		out.Asks = r.Park.Asks
		if !r.Park.Until.IsZero() {
			out.Until = r.Park.Until.Format(time.RFC3339)
		}
	}
	if r.Each == nil {
		return
	}
	items := r.Each.Items
	if r.Each.Next != nil {
		items = rounds(t, r.Each)
	}
	out.Each = map[string]any{"items": items, "parallel": r.Each.Parallel, "continue": r.Each.ContinueOnError, "max": r.Each.MaxItems}
}

// rounds plays a body that adds one to its item.
func rounds(t *testing.T, it *node.Iteration) []any {
	var items []any
	var previous any
	for i := range 10 {
		item, more, err := it.Next(context.Background(), i, previous)
		if err != nil {
			t.Fatal(err)
		}
		if !more {
			break
		}
		items = append(items, item)
		n, _ := item.(float64)
		previous = n + 1
	}
	return items
}

func failed(err error) *failure {
	f := fault.As(err)
	if f == nil {
		return &failure{Kind: fault.Internal, Message: err.Error()}
	}
	return &failure{Kind: f.Kind, Code: f.Code, Message: f.Message}
}

func testKinds(t *testing.T) *node.Kinds {
	t.Helper()
	return node.NewKinds(builtin.Kinds(deps(t))...)
}
