package llm

import (
	"fmt"
	"slices"
	"strings"

	"agentstudio/internal/fault"
)

// Default is the name that stands for the configured default model.
const Default = "default"

// ScriptedModel is what answers when no other model is configured.
const ScriptedModel = "demo/scripted"

// Config says how names of models are understood.
type Config struct {
	Default string            // what "default" means; empty: see Registry.Resolve
	Aliases map[string]string // name → model, e.g. "fast" → "anthropic/claude-haiku-4-5"
	// Decorate wraps the calls to each provider, e.g. in Retry and Meter; nil
	// leaves them as they are.
	Decorate func(Provider) Model
}

// Registry knows the providers and finds models by name. It is immutable and
// safe for concurrent use.
type Registry struct {
	cfg       Config
	providers []Provider
	models    map[string]Model // decorated, by provider
}

// NewRegistry returns a registry of the providers, the preferred first. It
// panics when two have the same name.
func NewRegistry(cfg Config, providers ...Provider) *Registry {
	r := &Registry{cfg: cfg, providers: providers, models: map[string]Model{}}
	for _, p := range providers {
		if _, twice := r.models[p.Name()]; twice {
			panic("model provider listed twice: " + p.Name())
		}
		r.models[p.Name()] = p
		if cfg.Decorate != nil {
			r.models[p.Name()] = cfg.Decorate(p)
		}
	}
	return r
}

// Listed is a model as the studio shows it.
type Listed struct {
	ID       string `json:"id"` // "provider/name"
	Provider string `json:"provider"`
	ModelInfo
	Configured bool `json:"configured"`        // its provider can be called here
	Default    bool `json:"default,omitempty"` // what "default" means
}

// Models lists every model that is known, in the providers' order.
func (r *Registry) Models() []Listed {
	out := []Listed{}
	standard := r.standard()
	for _, p := range r.providers {
		for _, m := range p.Models() {
			id := p.Name() + "/" + m.Name
			out = append(out, Listed{ID: id, Provider: p.Name(), ModelInfo: m, Configured: p.Configured(), Default: id == standard})
		}
	}
	return out
}

// standard returns what "default" means: the configured model, else the first
// model of the first provider that is configured and real, else the scripted one.
func (r *Registry) standard() string {
	if r.cfg.Default != "" && r.cfg.Default != Default {
		return r.cfg.Default
	}
	for _, p := range r.providers {
		for _, m := range p.Models() {
			if p.Configured() && !m.Demo {
				return p.Name() + "/" + m.Name
			}
		}
	}
	return ScriptedModel
}

// Resolve finds the models of the names and returns them as one: the next is
// asked when the one before is overloaded or out of order, see Chain. No name
// means "default". A name is "provider/model" (the provider may have models it
// does not list), an alias, "default", or the bare name of a model that a
// provider lists, a configured one first. Unknown names are one fault of kind
// Invalid, code "unknown_model", with what is known.
func (r *Registry) Resolve(names ...string) (*Chain, error) {
	if len(names) == 0 {
		names = []string{Default}
	}
	c := &Chain{}
	var faults []fault.Detail
	for i, name := range names {
		t, err := r.find(name)
		if err != nil {
			faults = append(faults, fault.Detail{Location: fmt.Sprintf("model[%d]", i), Code: "unknown_model", Message: fault.Message(err), Value: name})
			continue
		}
		if !slices.ContainsFunc(c.targets, func(other target) bool { return other.id() == t.id() }) {
			c.targets = append(c.targets, t)
		}
	}
	switch {
	case len(faults) == 1:
		return nil, fault.New(fault.Invalid, "%s", faults[0].Message).WithCode("unknown_model")
	case len(faults) > 1:
		return nil, fault.InvalidInput(faults...).WithCode("unknown_model")
	}
	return c, nil
}

func (r *Registry) find(name string) (target, error) {
	asked := name
	for range 8 { // an alias may name an alias
		next, ok := r.cfg.Aliases[name]
		if !ok && (name == "" || name == Default) {
			next, ok = r.standard(), true
		}
		if !ok || next == name {
			break
		}
		name = next
	}
	if prefix, rest, ok := strings.Cut(name, "/"); ok && rest != "" {
		if m, known := r.models[prefix]; known {
			return r.named(prefix, rest, m)
		}
	}
	var found *target
	for _, p := range r.providers {
		for _, info := range p.Models() {
			if info.Name == name && (found == nil || !found.configured && p.Configured()) {
				found = &target{provider: p.Name(), info: info, model: r.models[p.Name()], configured: p.Configured(), listed: true}
			}
		}
	}
	if found == nil {
		return target{}, r.unknown(asked)
	}
	return *found, nil
}

// named finds a model of one provider. What a provider does not list may be
// there all the same, unless everything it has is in the binary.
func (r *Registry) named(provider, name string, m Model) (target, error) {
	i := slices.IndexFunc(r.providers, func(p Provider) bool { return p.Name() == provider })
	p := r.providers[i]
	t := target{provider: provider, model: m, configured: p.Configured(), info: ModelInfo{Name: name, Tools: true}}
	demo := false
	for _, info := range p.Models() {
		if info.Name == name {
			t.info, t.listed = info, true
			return t, nil
		}
		demo = demo || info.Demo
	}
	if demo {
		return target{}, r.unknown(provider + "/" + name)
	}
	return t, nil
}

func (r *Registry) unknown(name string) *fault.Error {
	const most = 30
	var ids, words []string
	for _, m := range r.Models() {
		ids = append(ids, m.ID)
		words = append(words, m.ID, m.Name)
	}
	for alias := range r.cfg.Aliases {
		words = append(words, alias)
	}
	more := ""
	if len(ids) > most {
		more = fmt.Sprintf(" and %d more", len(ids)-most)
		ids = ids[:most]
	}
	return fault.New(fault.Invalid, "there is no model %q%s; there are: default, %s%s", name, fault.DidYouMean(name, words), strings.Join(ids, ", "), more).WithCode("unknown_model")
}
