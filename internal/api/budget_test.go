package api_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"agentstudio/internal/event"
)

func TestABudgetStopsCallsBeforeTheyAreMade(t *testing.T) {
	s := open(t, options{})
	w := s.team()
	helper := s.agent(w.owner.token, w.id, `"name":"Helper","model":"demo/scripted","max_tokens":20,"script":[{"text":"a b c d e f g h"}]`)
	lead := s.agent(w.owner.token, w.id, `"name":"Lead","model":"demo/scripted","max_tokens":20,"sub_agents":["`+helper+`"],"script":[{"tool_calls":[{"name":"agent_helper","arguments":{"task":"x"}}]},{"text":"done"}]`)
	try := func(id string) *answer {
		return s.do("POST", "/agents/"+id+"/test", w.owner.token, `{"input":"go"}`).expect(200)
	}
	used := int64(try(lead).expectAt("status", "completed").at("tokens.input").(float64))
	if used == 0 {
		t.Fatal("the demo model counts nothing")
	}
	b := s.do("POST", "/budgets", w.owner.token, map[string]any{"workspace_id": w.id, "scope": "agent", "target_id": lead, "period": "day", "max_tokens": 400}).expect(201).expectAt("version", 1)
	id := b.text("id")
	sub := s.bus.Subscribe(event.WorkspaceRoom(w.id))
	defer sub.Close()
	refused := 0
	for range 40 {
		a := try(lead)
		if a.at("status") == "failed" {
			a.expectAt("error.code", "budget_exceeded")
			if !strings.Contains(a.text("error.message"), "Raise the budget") {
				t.Errorf("nothing says what to do: %s", a.Body)
			}
			refused++
		}
	}
	spent := s.do("GET", "/budgets/"+id, w.viewer.token, nil).expect(200).expectAt("spent.reserved_tokens", 0).at("spent.tokens").(float64)
	if refused == 0 || spent > 400 || spent == 0 {
		t.Fatalf("%d were refused, %v of 400 tokens are spent", refused, spent)
	}
	// The agent it calls counts for it, but is free on its own account.
	try(helper).expectAt("status", "completed")
	s.do("GET", "/budgets/"+id, w.viewer.token, nil).expect(200).expectAt("spent.tokens", spent)
	s.do("PATCH", "/budgets/"+id, w.owner.token, `{"max_tokens":1000000}`, "If-Match", `"1"`).expect(200).expectAt("version", 2)
	s.do("PATCH", "/budgets/"+id, w.owner.token, `{"max_tokens":1}`, "If-Match", `"1"`).problem(412, "stale")
	try(lead).expectAt("status", "completed")
	s.clock.pass(24 * time.Hour)
	s.do("GET", "/budgets?workspace_id="+w.id, s.signIn("viewer@example.com").token, nil).expect(200).expectAt("items.0.spent.tokens", 0)
}

func TestPeopleAreToldOnceWhenABudgetIsNear(t *testing.T) {
	s := open(t, options{})
	w := s.team()
	id := s.agent(w.owner.token, w.id, `"name":"A","model":"demo/scripted","max_tokens":1,"script":[{"text":"a b c d e f g h i j k l m n o p"}]`)
	one := s.do("POST", "/agents/"+id+"/test", w.owner.token, `{"input":"go"}`).expect(200)
	each := int64(one.at("tokens.input").(float64) + one.at("tokens.output").(float64))
	s.do("POST", "/budgets", w.owner.token, map[string]any{"workspace_id": w.id, "scope": "workspace", "period": "month", "max_tokens": each * 10}).expect(201)
	sub := s.bus.Subscribe(event.WorkspaceRoom(w.id))
	defer sub.Close()
	var names []string
	for range 12 {
		s.do("POST", "/agents/"+id+"/test", w.owner.token, `{"input":"go"}`).expect(200)
	}
	for len(sub.C()) > 0 {
		if e := <-sub.C(); e.Type == event.Budget {
			names = append(names, e.Name)
			if !json.Valid(e.Data) {
				t.Errorf("told %s", e.Data)
			}
		}
	}
	log := string(s.do("GET", "/activity?workspace_id="+w.id, w.owner.token, nil).expect(200).Body)
	if strings.Join(names, " ") == "" || names[0] != "near" || strings.Count(log, `"budget.near"`) != 1 || strings.Count(log, `"budget.reached"`) > 1 {
		t.Errorf("told %v; the log is %s", names, log)
	}
}

func TestCallsAtOnceDoNotPassABudgetTogether(t *testing.T) {
	s := open(t, options{})
	w := s.team()
	id := s.agent(w.owner.token, w.id, `"name":"A","model":"demo/scripted","max_tokens":50,"script":[{"text":"a b c d","delay_ms":20}]`)
	s.do("POST", "/budgets", w.owner.token, map[string]any{"workspace_id": w.id, "scope": "workspace", "period": "day", "max_tokens": 120}).expect(201)
	var all sync.WaitGroup
	for range 12 {
		all.Go(func() { s.do("POST", "/agents/"+id+"/test", w.owner.token, `{"input":"go"}`).expect(200) })
	}
	all.Wait()
	if spent := s.do("GET", "/budgets?workspace_id="+w.id, w.owner.token, nil).expect(200).at("items.0.spent.tokens").(float64); spent == 0 || spent > 120 {
		t.Errorf("%v of 120 tokens are spent", spent)
	}
}

func TestFaultsOfABudgetAreToldWithTheirPlace(t *testing.T) {
	s := open(t, options{})
	w := s.team()
	for body, want := range map[string]string{`{"scope":"workspace","period":"day"}`: "body.max_cost_usd", `{"scope":"agent","period":"day","max_tokens":1}`: "body.target_id",
		`{"scope":"agent","period":"day","max_tokens":1,"target_id":"` + newID() + `"}`: "there is no such agent", `{"scope":"workspace","period":"week","max_tokens":1}`: "body.period"} {
		if a := s.do("POST", "/budgets", w.owner.token, with(body, "workspace_id", w.id)).problem(422, "invalid"); !strings.Contains(string(a.Body), want) {
			t.Errorf("%s: nothing about %s in %s", body, want, a.Body)
		}
	}
	made := `{"scope":"workspace","period":"day","max_cost_usd":0.5}`
	s.do("POST", "/budgets", w.admin.token, with(made, "workspace_id", w.id)).expect(201).expectAt("max_cost_usd", 0.5).expectAt("max_tokens", nil)
	s.do("POST", "/budgets", w.admin.token, with(made, "workspace_id", w.id)).problem(409, "conflict")
	s.do("POST", "/budgets", w.editor.token, with(made, "workspace_id", w.id)).problem(403, "forbidden")
}

// TestABudgetEndsAnAgentThatNeverStops: the model always asks for a tool. No
// call is made that could pass the budget, and none after the refusal.
func TestABudgetEndsAnAgentThatNeverStops(t *testing.T) {
	s := open(t, options{})
	w := s.team()
	const room, most = 20, 900
	var lines []string
	for i := range 60 {
		lines = append(lines, fmt.Sprintf(`{"tool_calls":[{"name":"calculator","arguments":{"expression":"%d+%d"}}]}`, i, i))
	}
	id := s.agent(w.owner.token, w.id, fmt.Sprintf(`"name":"Endless","model":"demo/scripted","tools":["calculator"],"max_tokens":%d,"limits":{"max_steps":60},"script":[%s]`, room, strings.Join(lines, ",")))
	budget := s.do("POST", "/budgets", w.owner.token, map[string]any{"workspace_id": w.id, "scope": "workspace", "period": "day", "max_tokens": most}).expect(201).text("id")
	try := func() (turns, last int64) {
		a := s.do("POST", "/agents/"+id+"/test", w.owner.token, `{"input":"go"}`).expect(200).expectAt("status", "failed").expectAt("error.code", "budget_exceeded")
		var tried struct {
			Steps []struct {
				Kind   string
				Tokens struct{ Input, Output int64 }
			}
		}
		a.into(&tried)
		for _, step := range tried.Steps {
			if step.Kind == "turn" {
				turns, last = turns+1, step.Tokens.Input+step.Tokens.Output
			}
		}
		return turns, last
	}
	turns, last := try()
	spent := int64(s.do("GET", "/budgets/"+budget, w.owner.token, nil).expect(200).expectAt("spent.reserved_tokens", 0).at("spent.tokens").(float64))
	// It stops where one more question with its answer might not fit, not long before.
	if turns < 3 || spent > most || spent+10*(last+room) < most {
		t.Errorf("after %d turns, the last of %d tokens, %d of %d are spent", turns, last, spent, most)
	}
	s.do("PATCH", "/budgets/"+budget, w.owner.token, map[string]any{"max_tokens": spent}).expect(200)
	if turns, _ := try(); turns != 0 {
		t.Errorf("%d calls were made without a budget", turns)
	}
	s.do("GET", "/budgets/"+budget, w.owner.token, nil).expect(200).expectAt("spent.tokens", spent)
}
