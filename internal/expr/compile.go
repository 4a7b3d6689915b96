package expr

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"agentstudio/internal/fault"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/vm"
)

// Env holds the values an expression may read, by name.
type Env map[string]any

// Limits of one evaluation.
const (
	evalTimeout = 100 * time.Millisecond
	evalMemory  = 2_000_000 // elements and string bytes made, as expr-lang counts them
	maxSource   = 64 << 10
)

// Names says which names an expression may use.
type Names struct {
	// Nodes are the ids that nodes.<id> may name. nil allows every id.
	Nodes []string
	// Secrets allows secrets.<name>.
	Secrets bool
	// Extra are names beside the ones every expression has.
	Extra []string
	// EnvNames are the names env.<name> may read. nil allows none.
	EnvNames []string
}

// roots are the names every expression may start from.
var roots = []string{"trigger", "input", "nodes", "item", "index", "vars", "execution", "workflow", "env"}

// Roots returns every name an expression may start from.
func Roots() []string { return slices.Clone(roots) }

// Refs tells what an expression reads.
type Refs struct {
	Roots   []string // the names it starts from: trigger, input, nodes, …
	Nodes   []string // ids in nodes.<id>, sorted
	Secrets []string
	// AllNodes is set when nodes is used in a way that names no single one.
	AllNodes bool
}

// Merge adds what another expression reads.
func (r *Refs) Merge(o Refs) {
	for _, name := range o.Roots {
		if !slices.Contains(r.Roots, name) {
			r.Roots = append(r.Roots, name)
		}
	}
	for _, id := range o.Nodes {
		r.addNode(id)
	}
	for _, s := range o.Secrets {
		if !slices.Contains(r.Secrets, s) {
			r.Secrets = append(r.Secrets, s)
		}
	}
	r.AllNodes = r.AllNodes || o.AllNodes
}

func (r *Refs) addNode(id string) {
	if at, found := slices.BinarySearch(r.Nodes, id); !found {
		r.Nodes = slices.Insert(r.Nodes, at, id)
	}
}

// program is one compiled expression.
type program struct {
	source string
	code   *vm.Program
	refs   Refs
	// members maps the position of a member access to its text, so that a
	// failure names the path.
	members map[int]string
}

func compile(source string, names Names) (*program, error) {
	source = strings.TrimSpace(source)
	if source == "" {
		return nil, fault.New(fault.Invalid, "an expression is empty: write something between {{ and }}")
	}
	if len(source) > maxSource {
		return nil, fault.New(fault.Invalid, "an expression is longer than %d KiB", maxSource>>10)
	}
	written := callFilters(quoteNodeIDs(source, names.Nodes))
	p := &program{source: source, members: map[int]string{}}
	look := &inspector{program: p, names: names, locals: map[string]bool{}}
	options := append(functions(), expr.Env(map[string]any{}), expr.AllowUndefinedVariables(),
		expr.Patch(look), expr.Patch(ticker{}), expr.MaxNodes(5_000))
	code, err := expr.Compile(written, options...)
	if err != nil {
		return nil, compileFault(source, err)
	}
	if err := look.fault(); err != nil {
		return nil, err
	}
	p.code = code
	return p, nil
}

func compileFault(source string, err error) error {
	var fe *file.Error
	if errors.As(err, &fe) {
		return fault.New(fault.Invalid, "the expression %q does not compile: %s (at character %d)", clip(source, 80), fe.Message, fe.Column+1).WithCode("expression_invalid")
	}
	return fault.New(fault.Invalid, "the expression %q does not compile: %s", clip(source, 80), err).WithCode("expression_invalid")
}

var dashed = regexp.MustCompile(`\bnodes\.([A-Za-z0-9_]+(?:-[A-Za-z0-9_]+)+)`)

// quoteNodeIDs lets people write nodes.read-page.output although the language
// would read a minus: it is rewritten to nodes["read-page"] unless the part
// before the dash is an id itself.
func quoteNodeIDs(source string, ids []string) string {
	if !strings.Contains(source, "nodes.") {
		return source
	}
	return dashed.ReplaceAllStringFunc(source, func(m string) string {
		name := m[len("nodes."):]
		best := ""
		for _, id := range ids {
			if strings.HasPrefix(name, id) && len(id) > len(best) && (len(name) == len(id) || name[len(id)] == '-') {
				best = id
			}
		}
		if best == "" && ids != nil {
			best = name
		}
		if !strings.Contains(best, "-") {
			return m
		}
		return `nodes["` + best + `"]` + name[len(best):]
	})
}

// callFilters lets people write x | json where the language wants x | json().
func callFilters(source string) string {
	if !strings.Contains(source, "|") {
		return source
	}
	var b strings.Builder
	for i := 0; i < len(source); i++ {
		c := source[i]
		b.WriteByte(c)
		if c == '\'' || c == '"' || c == '`' {
			end := quoted(source, i)
			b.WriteString(source[i+1 : end])
			i = end - 1
			continue
		}
		if c != '|' {
			continue
		}
		if i+1 < len(source) && source[i+1] == '|' {
			b.WriteByte('|')
			i++
			continue
		}
		if name := filterName.FindString(source[i+1:]); name != "" {
			b.WriteString(name)
			i += len(name)
			if !strings.HasPrefix(strings.TrimSpace(source[i+1:]), "(") {
				b.WriteString("()")
			}
		}
	}
	return b.String()
}

var filterName = regexp.MustCompile(`^\s*[A-Za-z_]\w*`)

// quoted returns the index after the string literal that starts at i.
func quoted(s string, i int) int {
	quote := s[i]
	for i++; i < len(s) && s[i] != quote; i++ {
		if s[i] == '\\' && quote != '`' {
			i++
		}
	}
	return min(i+1, len(s))
}

// control is what the ticks inside predicates read.
type control struct{ deadline time.Time }

const controlName = "__control"

var machines = sync.Pool{New: func() any { return &vm.VM{MemoryBudget: evalMemory} }}

func (p *program) run(env Env) (any, error) {
	full := map[string]any(env)
	if p.ticks() {
		full = make(map[string]any, len(env)+1)
		for k, v := range env {
			full[k] = v
		}
		full[controlName] = &control{deadline: time.Now().Add(evalTimeout)}
	}
	machine := machines.Get().(*vm.VM)
	v, err := machine.Run(p.code, full)
	clear(machine.Stack[:cap(machine.Stack)])
	clear(machine.Variables)
	machines.Put(machine)
	if err != nil {
		return nil, p.runFault(err)
	}
	return v, nil
}

func (p *program) ticks() bool { return p.members[-1] != "" }

func (p *program) runFault(err error) error {
	var fe *file.Error
	if !errors.As(err, &fe) {
		return fault.Wrap(fault.Invalid, err, "the expression %q failed", clip(p.source, 80))
	}
	if errors.Is(err, errSlow) {
		return fault.New(fault.Timeout, "the expression %q ran longer than %s", clip(p.source, 80), evalTimeout).WithCode("expression_timeout")
	}
	if strings.Contains(fe.Message, "from <nil>") || strings.Contains(fe.Message, "cannot fetch") {
		if path, ok := p.members[fe.From]; ok {
			return fault.New(fault.Invalid, "%s cannot be read: what stands before it is missing; use ?. or | default(…) where that may happen (in %q)", path, clip(p.source, 80)).WithCode("expression_null")
		}
	}
	return fault.New(fault.Invalid, "the expression %q failed: %s", clip(p.source, 80), fe.Message).WithCode("expression_failed")
}

var errSlow = errors.New("expression took too long")

// ticker wraps the body of each predicate in a call that checks the clock, so
// that nested loops over large lists end in time.
type ticker struct{}

func (ticker) Visit(n *ast.Node) {
	p, ok := (*n).(*ast.PredicateNode)
	if !ok {
		return
	}
	if call, done := p.Node.(*ast.CallNode); done {
		if id, isID := call.Callee.(*ast.IdentifierNode); isID && id.Value == "__tick" {
			return
		}
	}
	p.Node = &ast.CallNode{Callee: &ast.IdentifierNode{Value: "__tick"},
		Arguments: []ast.Node{&ast.IdentifierNode{Value: controlName}, p.Node}}
}

func tick(params ...any) (any, error) {
	if c, ok := params[0].(*control); ok && time.Now().After(c.deadline) {
		return nil, errSlow
	}
	return params[1], nil
}

// inspector gathers what an expression reads, makes the argument of default()
// forgiving, and collects the names that do not exist.
type inspector struct {
	program *program
	names   Names
	locals  map[string]bool
	bases   map[ast.Node]bool // identifiers already handled through their member node
	unknown []string
	faults  []error
}

func (l *inspector) Visit(n *ast.Node) {
	switch x := (*n).(type) {
	case *ast.PredicateNode:
		l.program.members[-1] = "ticks"
	case *ast.VariableDeclaratorNode:
		l.locals[x.Name] = true
	case *ast.CallNode:
		l.visitCall(x)
	case *ast.MemberNode:
		l.visitMember(x)
	case *ast.IdentifierNode:
		l.visitIdentifier(x)
	}
}

func (l *inspector) visitCall(x *ast.CallNode) {
	id, ok := x.Callee.(*ast.IdentifierNode)
	if !ok {
		return
	}
	if id.Value == "default" && len(x.Arguments) > 0 {
		if _, chained := x.Arguments[0].(*ast.ChainNode); !chained {
			if forgive(x.Arguments[0]) {
				x.Arguments[0] = &ast.ChainNode{Node: x.Arguments[0]}
			}
		}
	}
}

// forgive makes every step of a member path optional.
func forgive(n ast.Node) bool {
	m, ok := n.(*ast.MemberNode)
	if !ok {
		return false
	}
	m.Optional = true
	forgive(m.Node)
	return true
}

func (l *inspector) visitMember(m *ast.MemberNode) {
	text := pathText(m)
	l.program.members[m.Location().From] = text
	base, ok := m.Node.(*ast.IdentifierNode)
	if !ok {
		return
	}
	key, literal := m.Property.(*ast.StringNode)
	switch base.Value {
	case "nodes":
		if l.locals["nodes"] {
			return
		}
		l.mark(base)
		if !literal {
			l.program.refs.AllNodes = true
			return
		}
		l.program.refs.addNode(key.Value)
		if l.names.Nodes != nil && !slices.Contains(l.names.Nodes, key.Value) {
			l.faults = append(l.faults, fault.New(fault.Invalid, "nodes.%s does not name a node that runs before this one%s",
				key.Value, fault.DidYouMean(key.Value, l.names.Nodes)).WithCode("unknown_node"))
		}
	case "secrets":
		l.mark(base)
		if !l.names.Secrets {
			l.faults = append(l.faults, fault.New(fault.Invalid, "secrets may only be used in fields that are marked for them").WithCode("secret_not_allowed"))
		}
		if literal && !slices.Contains(l.program.refs.Secrets, key.Value) {
			l.program.refs.Secrets = append(l.program.refs.Secrets, key.Value)
		}
	case "env":
		if literal && !slices.Contains(l.names.EnvNames, key.Value) {
			l.faults = append(l.faults, fault.New(fault.Invalid, "env.%s is not one of the names the operator allows", key.Value).WithCode("unknown_name"))
		}
	}
}

func (l *inspector) mark(n ast.Node) {
	if l.bases == nil {
		l.bases = map[ast.Node]bool{}
	}
	l.bases[n] = true
}

func (l *inspector) visitIdentifier(x *ast.IdentifierNode) {
	name := x.Value
	if slices.Contains(roots, name) && !slices.Contains(l.program.refs.Roots, name) {
		l.program.refs.Roots = append(l.program.refs.Roots, name)
	}
	if name != controlName && name != "__tick" && !slices.Contains(l.unknown, name) {
		l.unknown = append(l.unknown, name)
	}
}

// fault returns the first thing wrong with the names, or nil.
func (l *inspector) fault() error {
	known := append(slices.Clone(roots), l.names.Extra...)
	if l.names.Secrets {
		known = append(known, "secrets")
	}
	for _, name := range l.unknown {
		if name == "secrets" || slices.Contains(known, name) || l.locals[name] || functionNames[name] {
			if name == "nodes" && len(l.bases) == 0 && len(l.program.refs.Nodes) == 0 {
				l.program.refs.AllNodes = true
			}
			continue
		}
		return fault.New(fault.Invalid, "the name %s in %q is unknown%s", name, clip(l.program.source, 80), fault.DidYouMean(name, known)).WithCode("unknown_name")
	}
	if len(l.faults) > 0 {
		return l.faults[0]
	}
	return nil
}

func pathText(n ast.Node) string {
	switch x := n.(type) {
	case *ast.IdentifierNode:
		return x.Value
	case *ast.MemberNode:
		if s, ok := x.Property.(*ast.StringNode); ok {
			return pathText(x.Node) + "." + s.Value
		}
		return fmt.Sprintf("%s[%s]", pathText(x.Node), x.Property)
	case *ast.ChainNode:
		return pathText(x.Node)
	case *ast.PointerNode:
		return "#"
	}
	return clip(n.String(), 40)
}
