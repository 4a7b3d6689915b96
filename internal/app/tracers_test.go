package app_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"agentstudio/internal/execution"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// gathered is what a collector was sent.
type gathered struct {
	mu    sync.Mutex
	raw   []byte
	spans []*tracepb.Span
	about map[string]string
}

// collect stands in for a collector.
func collect(t *testing.T) (string, *gathered) {
	t.Helper()
	g := &gathered{about: map[string]string{}}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, err := io.ReadAll(r.Body)
		var in collector.ExportTraceServiceRequest
		if err != nil || r.URL.Path != "/v1/traces" || proto.Unmarshal(raw, &in) != nil {
			t.Errorf("%s: %v: no spans", r.URL.Path, err)
		}
		g.mu.Lock()
		defer g.mu.Unlock()
		g.raw = append(g.raw, raw...)
		for _, of := range in.GetResourceSpans() {
			g.about = values(of.GetResource().GetAttributes())
			for _, scope := range of.GetScopeSpans() {
				g.spans = append(g.spans, scope.GetSpans()...)
			}
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	t.Cleanup(s.Close)
	return s.URL, g
}

func values(set []*common.KeyValue) map[string]string {
	out := map[string]string{}
	for _, a := range set {
		v := a.GetValue()
		out[a.GetKey()] = strings.Trim(strings.TrimSpace(v.GetStringValue()+" "+v.GetArrayValue().String()), `"`)
		if v.GetStringValue() != "" {
			out[a.GetKey()] = v.GetStringValue()
		} else if v.GetIntValue() != 0 {
			out[a.GetKey()] = "some"
		}
	}
	return out
}

// named returns the spans of a name, or that begin with it and a space.
func (g *gathered) named(name string) (found []*tracepb.Span) {
	for _, s := range g.spans {
		if strings.HasPrefix(s.GetName()+" ", name+" ") {
			found = append(found, s)
		}
	}
	return found
}

const tracedFlow = `
name: Traced
nodes:
  - {id: start, kind: manual-trigger}
  - id: think
    kind: agent
    title: Thinker
    config:
      model: demo/scripted
      prompt: "a secret question {{ trigger.text }}"
      tools: [calculator]
      script:
        - tool_calls: [{name: calculator, arguments: {expression: "40+2"}}, {name: calculator, arguments: {expression: "secret+"}}]
        - {text: a secret answer}
connections: [{source: start, target: think}]
`

func TestSpansOfAnExecutionReachACollector(t *testing.T) {
	url, g := collect(t)
	cfg := settings(t.TempDir())
	cfg.OTLPEndpoint = url
	studio, by, stop := open(t, cfg)
	x := ends(t, studio, by, tracedFlow, `{"text":"secret"}`)
	if x.Status != execution.Completed {
		t.Fatalf("%s %+v", x.Status, x.Error)
	}
	stop() // sends the last ones
	g.mu.Lock()
	defer g.mu.Unlock()
	only := func(name string) *tracepb.Span {
		t.Helper()
		found := g.named(name)
		if len(found) != 1 {
			t.Fatalf("%d spans are called %q; there are %v", len(found), name, g.spans)
		}
		return found[0]
	}
	below := func(child, parent *tracepb.Span) {
		t.Helper()
		if !bytes.Equal(child.GetParentSpanId(), parent.GetSpanId()) || !bytes.Equal(child.GetTraceId(), parent.GetTraceId()) {
			t.Errorf("%s is not below %s", child.GetName(), parent.GetName())
		}
	}
	root, node, agent := only("invoke_workflow Traced"), only("node agent"), only("invoke_agent Thinker")
	if sum := sha256.Sum256([]byte(x.ID)); hex.EncodeToString(root.GetTraceId()) != hex.EncodeToString(sum[:16]) || len(root.GetParentSpanId()) != 0 {
		t.Errorf("the trace is %x, below %x", root.GetTraceId(), root.GetParentSpanId())
	}
	below(node, root)
	below(only("node manual-trigger"), root)
	below(agent, node)
	chats, calls := g.named("chat scripted"), g.named("execute_tool calculator")
	if len(chats) != 2 || len(calls) != 2 {
		t.Fatalf("%d chats, %d calls", len(chats), len(calls))
	}
	failed := 0
	for _, s := range calls {
		below(s, agent)
		a := values(s.GetAttributes())
		if a["gen_ai.operation.name"] != "execute_tool" || a["gen_ai.tool.name"] != "calculator" || a["gen_ai.tool.type"] != "function" || a["gen_ai.tool.call.id"] == "" {
			t.Errorf("a call has %v", a)
		}
		if a["error.type"] == "invalid" && s.GetStatus().GetCode() == tracepb.Status_STATUS_CODE_ERROR {
			failed++
		}
	}
	if failed != 1 {
		t.Errorf("%d calls failed", failed)
	}
	reasons := ""
	for _, s := range chats {
		below(s, agent)
		a := values(s.GetAttributes())
		if a["gen_ai.operation.name"] != "chat" || a["gen_ai.provider.name"] != "demo" || a["gen_ai.request.model"] != "scripted" || a["gen_ai.response.model"] != "scripted" ||
			a["gen_ai.usage.input_tokens"] != "some" || a["gen_ai.usage.output_tokens"] != "some" || s.GetKind() != tracepb.Span_SPAN_KIND_CLIENT {
			t.Errorf("a chat has %v", a)
		}
		reasons += a["gen_ai.response.finish_reasons"]
	}
	if !strings.Contains(reasons, "tool_call") || !strings.Contains(reasons, "stop") {
		t.Errorf("the chats ended with %s", reasons)
	}
	if a := values(agent.GetAttributes()); a["gen_ai.operation.name"] != "invoke_agent" || a["gen_ai.agent.name"] != "Thinker" || a["gen_ai.request.model"] != "scripted" || a["gen_ai.usage.input_tokens"] != "some" {
		t.Errorf("the agent has %v", a)
	}
	if a := values(root.GetAttributes()); a["agentstudio.execution.id"] != x.ID || a["agentstudio.execution.status"] != "completed" || a["gen_ai.workflow.name"] != "Traced" {
		t.Errorf("the execution has %v", a)
	}
	if g.about["service.name"] != "agentstudio" || g.about["service.version"] != "test" {
		t.Errorf("the service is %v", g.about)
	}
	if bytes.Contains(g.raw, []byte("secret")) || bytes.Contains(g.raw, []byte("40+2")) {
		t.Error("a span holds what was said")
	}
}

func TestAStudioRunsAndEndsWithoutItsCollector(t *testing.T) {
	cfg := settings(t.TempDir())
	cfg.OTLPEndpoint = "http://127.0.0.1:1"
	studio, by, stop := open(t, cfg)
	if x := ends(t, studio, by, tracedFlow, `{}`); x.Status != execution.Completed {
		t.Errorf("%s %+v", x.Status, x.Error)
	}
	stop()
}

func TestAnAgentThatRestsHasNotFailed(t *testing.T) {
	url, g := collect(t)
	cfg := settings(t.TempDir())
	cfg.OTLPTraces = url + "/v1/traces"
	studio, by, stop := open(t, cfg)
	flow(t, studio, by, doubles, true)
	x := ends(t, studio, by, runsAWorkflow, `{}`)
	if x.Status != execution.Completed {
		t.Fatalf("%s %+v", x.Status, x.Error)
	}
	stop()
	g.mu.Lock()
	defer g.mu.Unlock()
	lives, agents, children := g.named("invoke_workflow Runs"), g.named("invoke_agent"), g.named("invoke_workflow Double")
	if len(agents) < 4 || len(children) < 3 {
		t.Fatalf("%d lives, the agent set to work %d times, %d lives of its workflows", len(lives), len(agents), len(children))
	}
	for _, s := range append(lives, agents...) {
		if !bytes.Equal(s.GetTraceId(), lives[0].GetTraceId()) || s.GetStatus().GetCode() == tracepb.Status_STATUS_CODE_ERROR {
			t.Errorf("%s is of the trace %x, %v", s.GetName(), s.GetTraceId(), s.GetStatus())
		}
	}
	parked := 0
	for _, s := range g.named("node agent") {
		for _, a := range s.GetAttributes() {
			if a.GetKey() == "agentstudio.node.parked" && a.GetValue().GetBoolValue() {
				parked++
			}
		}
	}
	if parked != len(agents)-1 {
		t.Errorf("the node went to rest %d times of %d", parked, len(agents))
	}
	for _, s := range children {
		if values(s.GetAttributes())["agentstudio.execution.parent_id"] != x.ID || bytes.Equal(s.GetTraceId(), lives[0].GetTraceId()) {
			t.Errorf("a workflow of it is %v", s)
		}
	}
}
