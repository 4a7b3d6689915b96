package api

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"agentstudio/internal/fault"
	"agentstudio/internal/llm"
)

var toolName = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)

// everyFault is a problem in one text: the protocols have no list.
func everyFault(p *Problem) string {
	if len(p.Errors) == 0 {
		return p.Detail
	}
	faults := make([]string, len(p.Errors))
	for i, e := range p.Errors {
		faults[i] = trimBody(e.Location) + ": " + e.Message
	}
	return strings.Join(faults, "; ")
}

func trimBody(location string) string { return strings.TrimPrefix(location, "body.") }

// reading gathers everything that is wrong with a question.
type reading struct{ faults []fault.Detail }

func (r *reading) find(place, code, message string) {
	r.faults = append(r.faults, fault.Detail{Location: "body." + place, Code: code, Message: message})
}

func (r *reading) err() error {
	if len(r.faults) == 0 {
		return nil
	}
	f := fault.InvalidInput(r.faults...)
	f.Code = r.faults[0].Code
	return f
}

// object reads a body as an object, into its struct and as it is.
func (r *reading) object(body []byte, into any) (map[string]json.RawMessage, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil || fields == nil {
		return nil, fault.New(fault.Malformed, "the body is no JSON object")
	}
	if err := json.Unmarshal(body, into); err != nil {
		return nil, unreadable(err)
	}
	return fields, nil
}

func unreadable(err error) error {
	if wrong, ok := err.(*json.UnmarshalTypeError); ok { //nolint:errorlint // json returns it bare
		return fault.InvalidInput(fault.Detail{Location: "body." + wrong.Field, Code: "invalid_type", Message: "this cannot be a " + wrong.Value})
	}
	return fault.Wrap(fault.Malformed, err, "the body cannot be read: %s", err)
}

// known finds fields that are none of the protocol's, and those whose values
// would mean what is not done here.
func (r *reading) known(fields map[string]json.RawMessage, taken, ignored []string, refused map[string]func(json.RawMessage) string) {
	names := slices.Concat(taken, ignored)
	for name := range refused {
		names = append(names, name)
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if refuse, ok := refused[name]; ok {
			if why := refuse(fields[name]); why != "" {
				r.find(name, "unsupported_parameter", why)
			}
		} else if !slices.Contains(names, name) {
			r.find(name, "unknown_parameter", "this parameter is unknown"+fault.DidYouMean(name, names))
		}
	}
}

// tools checks what tools are called and take.
func (r *reading) tools(place string, specs []llm.ToolSpec) {
	const most = 128
	if len(specs) > most {
		r.find(place, "too_many", "at most 128 tools")
	}
	seen := map[string]bool{}
	for i, t := range specs {
		at := fmt.Sprintf("%s[%d]", place, i)
		if !toolName.MatchString(t.Name) {
			r.find(at+".name", "bad_name", "a name has 1 to 64 letters, digits, _ and -")
		}
		if seen[t.Name] {
			r.find(at+".name", "twice", "two tools are called "+t.Name)
		}
		seen[t.Name] = true
		var schema map[string]any
		if json.Unmarshal(t.Schema, &schema) != nil || schema == nil {
			r.find(at, "bad_schema", "the schema of the arguments is no object")
		}
	}
}

// pairs checks that every call in a conversation has its result behind it, and
// every result its call.
func (r *reading) pairs(messages []llm.Message) {
	open := map[string]bool{}
	for _, m := range messages {
		if m.Role == llm.Tool {
			for _, b := range m.Content {
				if b.Type != llm.ToolResultBlock {
					continue
				}
				if !open[b.ID] {
					r.find("messages", "unknown_call", "there is a result of the call "+b.ID+", which the message before it does not hold")
				}
				delete(open, b.ID)
			}
		}
		if len(open) > 0 {
			r.find("messages", "missing_result", "there is no result of the call "+slices.Sorted(maps.Keys(open))[0]+" behind the message that holds it")
			open = map[string]bool{}
		}
		if m.Role != llm.Assistant {
			continue
		}
		for _, b := range m.Content {
			if b.Type == llm.ToolCallBlock {
				open[b.ID] = true
			}
		}
	}
	if len(open) > 0 {
		r.find("messages", "missing_result", "there is no result of the call "+slices.Sorted(maps.Keys(open))[0]+" behind the message that holds it")
	}
}
