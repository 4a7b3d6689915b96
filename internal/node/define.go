package node

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"

	"agentstudio/internal/fault"
	"agentstudio/internal/schema"

	"github.com/invopop/jsonschema"
)

// Type is a kind: its Spec, its config and the function that runs it. It is
// immutable and safe for concurrent use.
type Type struct {
	spec     Spec
	schema   json.RawMessage
	rules    *schema.Schema
	defaults map[string]any
	config   reflect.Type
	decode   func(map[string]any) (any, error)
	run      func(context.Context, Call, any) (Result, error)
	check    func(any) []fault.Detail
}

// Joiner is implemented by configs of kinds that may start before all of
// their inputs are decided.
type Joiner interface{ Join() Join }

// Join says when a node with several inputs may start.
type Join struct {
	// Need is how many inputs must be delivered; 0 means that all must be
	// decided, which is what every other kind does.
	Need int
	// CancelRest cancels what still runs only for the inputs not needed.
	CancelRest bool
}

// Brancher is implemented by configs whose output handles depend on them.
type Brancher interface{ Handles() []Handle }

// Checker is implemented by configs with rules their schema cannot say.
// Locations are relative to the config: "cases[1].name". Fields that hold
// expressions are not evaluated yet.
type Checker interface{ Check() []fault.Detail }

// Armer is implemented by configs of triggers that publishing arms.
type Armer interface{ Arm() Arming }

// Arming is what publishing a workflow with this trigger sets up.
type Arming struct {
	Webhook  *Webhook   `json:",omitempty"`
	Schedule *Schedule  `json:",omitempty"`
	Listens  []Listener `json:",omitempty"`
}

// The events a workflow can listen for.
const (
	ExecutionCompleted = "execution.completed"
	ExecutionFailed    = "execution.failed"
	ExecutionCancelled = "execution.cancelled"
	FileArrived        = "file.arrived"
	ApprovalDue        = "approval.due"
	BudgetNear         = "budget.near"
)

// Listener is an event that starts the workflow.
type Listener struct {
	Event string
	// Subject narrows it: the id of the workflow whose executions, or budget, are
	// meant ("" for any), or the pattern of a file's path.
	Subject string
}

// Webhook is an address calls come in on.
type Webhook struct {
	Path       string   // without slashes around it
	Methods    []string // upper case
	Auth       string   // none, header, hmac
	Scheme     string   `json:",omitempty"` // of the signature, with hmac
	Header     string   // the header that carries the secret or signature
	Prefix     string   `json:",omitempty"` // before the signature, with the generic scheme
	Encoding   string   `json:",omitempty"` // of the signature, with the generic scheme: hex, base64
	Credential string
	Respond    string // immediately, when-finished, respond-node
	DedupeKey  Expression
}

// Schedule is when a workflow starts by itself.
type Schedule struct {
	Cron, Every, TimeZone, CatchUp, Overlap string
	JitterSeconds                           int
}

// InputSchemer is implemented by configs of triggers that say which data they
// take, as a JSON Schema; nil means anything.
type InputSchemer interface{ InputSchema() map[string]any }

// Purposed is implemented by configs of triggers that say what starting them is
// good for; "" says nothing.
type Purposed interface{ Purpose() string }

// Freeing is implemented by configs that may let their node do without
// anybody's consent what others ask for: only administrators may save one that
// does. Frees says what, as "lets …"; "" nothing. It is called on what can be
// read of a config, the rest being zero.
type Freeing interface{ Frees() string }

// References is implemented by configs that name other workflows.
type References interface{ WorkflowIDs() []string }

// Define makes a kind from its spec and its run function. C is the config
// struct: its JSON names are the config's fields, its jsonschema tags the form
// (title=, enum=, default=, minimum=, required; jsonschema_description for the
// help text; jsonschema_extras:"widget=code" for the editor, "secret=true" for
// fields that may name secrets, "agent=true" for those that name saved agents). Fields of type Expression are left to the
// kind; in every other field the {{ }} are evaluated before run is called.
// It panics when C cannot be described: a programmer's error at start-up.
func Define[C any](spec Spec, run func(context.Context, Call, C) (Result, error)) Type {
	if len(spec.Outputs) == 0 {
		spec.Outputs = []Handle{{Name: DefaultOutput}}
	}
	t := Type{spec: spec, config: reflect.TypeFor[C]()}
	t.schema, t.defaults = schema.Of[C](spec.Title)
	rules, err := schema.Compile(t.schema)
	if err != nil {
		panic(fmt.Sprintf("kind %s: compile schema: %v", spec.Kind, err))
	}
	t.rules = rules
	plan := planOf(t.config)
	t.decode = func(raw map[string]any) (any, error) { return decode[C](raw, t.defaults, plan) }
	t.run = func(ctx context.Context, c Call, cfg any) (Result, error) {
		typed, ok := cfg.(C)
		if !ok {
			return Result{}, fmt.Errorf("config of kind %s is a %T", spec.Kind, cfg)
		}
		return run(ctx, c, typed)
	}
	return t
}

// Checked returns the kind with rules that its config cannot know by itself,
// as those of Checker: what a tool takes, for instance.
func Checked[C any](t Type, check func(C) []fault.Detail) Type {
	t.check = func(cfg any) []fault.Detail {
		if typed, ok := cfg.(C); ok {
			return check(typed)
		}
		return nil
	}
	return t
}

// Check returns what of a decoded config breaks rules its schema cannot say.
// Locations are relative to the config.
func (t Type) Check(cfg any) (found []fault.Detail) {
	if checker, ok := cfg.(Checker); ok {
		found = checker.Check()
	}
	if t.check != nil {
		found = append(found, t.check(cfg)...)
	}
	return found
}

// Spec returns the kind's description.
func (t Type) Spec() Spec { return t.spec }

// Schema returns the JSON Schema of the kind's config.
func (t Type) Schema() json.RawMessage { return t.schema }

// Faults returns everything in a raw config that breaks the schema. Values
// that are expressions are judged as the strings they are.
func (t Type) Faults(raw map[string]any) []schema.Fault { return t.rules.Validate(raw) }

// ConfigType returns the config struct's type, for those who look for tags
// and Expression fields in it.
func (t Type) ConfigType() reflect.Type { return t.config }

// Decode reads an evaluated config, with the schema's defaults for what is left out.
func (t Type) Decode(raw map[string]any) (any, error) { return t.decode(raw) }

// Run runs the node once with a config that Decode returned.
func (t Type) Run(ctx context.Context, c Call, cfg any) (Result, error) { return t.run(ctx, c, cfg) }

// JSONSchema describes an Expression field.
func (Expression) JSONSchema() *jsonschema.Schema {
	return &jsonschema.Schema{Type: "string", Extras: map[string]any{"widget": "expression"}}
}

// Kinds is the list of kinds in use, in the palette's order.
type Kinds struct {
	list   []Type
	byName map[string]Type
}

// NewKinds returns the list. It panics when a kind is listed twice.
func NewKinds(types ...Type) *Kinds {
	k := &Kinds{list: types, byName: make(map[string]Type, len(types))}
	for _, t := range types {
		if _, twice := k.byName[t.spec.Kind]; twice {
			panic("node kind listed twice: " + t.spec.Kind)
		}
		k.byName[t.spec.Kind] = t
	}
	return k
}

// Find returns the kind of the name.
func (k *Kinds) Find(kind string) (Type, bool) { t, ok := k.byName[kind]; return t, ok }

// All returns every kind in order. The caller may not change the slice.
func (k *Kinds) All() []Type { return k.list }
