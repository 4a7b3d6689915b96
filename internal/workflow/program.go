package workflow

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"agentstudio/internal/expr"
	"agentstudio/internal/node"
)

// Program is a definition compiled for running: the graph by index, the
// expressions compiled, the constant configs decoded. It is immutable and
// shared by every execution of the version.
type Program struct {
	Definition *Definition
	Steps      []Step // in the definition's order
	Scopes     []Scope
	Edges      []Edge
	byID       map[string]int
	key        *expr.Template // of settings.concurrency; nil for none
}

// Scope is a body that runs as a whole: the workflow itself (index 0) or the
// nodes inside a container.
type Scope struct {
	Container int   // step that holds it; -1 for the workflow itself
	Steps     []int // its own steps, in the definition's order
	Entries   []int // steps nothing leads to, disabled triggers left out
	Sinks     []int // steps that lead nowhere
}

// Step is a node, compiled.
type Step struct {
	Index    int
	Node     *Node
	Kind     node.Spec
	Type     node.Type
	Known    bool // its kind exists
	Enabled  bool
	Scope    int   // the scope it stands in
	Body     int   // the scope it holds; -1 when it holds none
	In, Out  []int // edge indexes, in the definition's order
	Join     node.Join
	OnError  string
	Timeout  time.Duration // of one attempt; 0 means the engine's default
	Attempts int
	Delays   []time.Duration

	config  *expr.Value
	decoded any // when the config is constant
	exprs   map[string]*expr.Template
	refs    expr.Refs
}

// Edge is a connection, compiled.
type Edge struct {
	Source, Target int
	SourceHandle   string
	TargetHandle   string
}

// maxKey bounds a concurrency key, in bytes; a longer one is known by its hash.
const maxKey = 200

// ConcurrencyKey returns what executions that share places have in common; ""
// when the workflow names no key.
func (p *Program) ConcurrencyKey(trigger any) (string, error) {
	if p.key == nil {
		return "", nil
	}
	vars := p.Definition.Settings.Vars
	if vars == nil {
		vars = map[string]any{}
	}
	v, err := p.key.Eval(expr.Env{"trigger": trigger, "vars": vars})
	if err != nil || v == nil {
		return "", err
	}
	text, isText := v.(string)
	if !isText {
		raw, err := json.Marshal(v)
		if err != nil {
			return "", err
		}
		text = string(raw)
	}
	if len(text) > maxKey || !utf8.ValidString(text) || strings.Contains(text, "\x00") {
		sum := sha256.Sum256([]byte(text))
		text = hex.EncodeToString(sum[:])
	}
	return text, nil
}

// Step returns the step of a node id.
func (p *Program) Step(id string) (*Step, bool) {
	i, ok := p.byID[id]
	if !ok {
		return nil, false
	}
	return &p.Steps[i], true
}

// Refs returns what the step's config reads, its own expressions included.
func (s *Step) Refs() expr.Refs { return s.refs }

// Config evaluates the step's config and decodes it for its kind. Constant
// configs are decoded once, when the program is compiled.
func (s *Step) Config(env expr.Env) (any, error) {
	if s.decoded != nil {
		return s.decoded, nil
	}
	v, err := s.config.Eval(env)
	if err != nil {
		return nil, err
	}
	raw, _ := v.(map[string]any)
	return s.Type.Decode(raw)
}

// Constant reports whether the step's config reads nothing.
func (s *Step) Constant() bool { return s.decoded != nil }

// WantsScope reports whether the kind sees every node that ended before it,
// whatever its config names: code does.
func (s *Step) WantsScope() bool { return s.Known && s.Kind.SeesAll }

// Expression returns the compiled form of an Expression field's text, or nil
// when the config holds no such text.
func (s *Step) Expression(e node.Expression) *expr.Template { return s.exprs[string(e)] }

// Triggers returns the steps an execution can start from, in order.
func (p *Program) Triggers() []*Step {
	var out []*Step
	for i := range p.Steps {
		if s := &p.Steps[i]; s.Known && s.Kind.Group == node.Trigger && s.Enabled {
			out = append(out, s)
		}
	}
	return out
}

// StartFor returns the trigger step an execution of the trigger type starts
// from: the named node when nodeID is set, else the first whose kind starts
// executions of the type, else the first that people or workflows start, else
// the first.
func (p *Program) StartFor(triggerType, nodeID string) (*Step, bool) {
	triggers := p.Triggers()
	if nodeID != "" {
		for _, s := range triggers {
			if s.Node.ID == nodeID {
				return s, true
			}
		}
		return nil, false
	}
	for _, wanted := range []string{triggerType, "manual", "workflow"} {
		for _, s := range triggers {
			if slices.Contains(s.Kind.Starts, wanted) {
				return s, true
			}
		}
	}
	if len(triggers) > 0 {
		return triggers[0], true
	}
	return nil, false
}

// Arming is a trigger that publishing sets up.
type Arming struct {
	NodeID string
	node.Arming
}

// Armings returns what publishing the program sets up.
func (p *Program) Armings() []Arming {
	var out []Arming
	for _, s := range p.Triggers() {
		if a, ok := s.decoded.(node.Armer); ok {
			out = append(out, Arming{NodeID: s.Node.ID, Arming: a.Arm()})
		}
	}
	return out
}

// InputSchema returns the JSON Schema of the data a trigger takes; nil when
// anything goes.
func (s *Step) InputSchema() map[string]any {
	if t, ok := s.decoded.(node.InputSchemer); ok {
		return t.InputSchema()
	}
	return nil
}
