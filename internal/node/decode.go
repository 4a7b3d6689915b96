package node

import (
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strings"

	"agentstudio/internal/fault"
	"agentstudio/internal/jsonvalue"
)

// decode reads an evaluated config into the kind's struct, with the meaning of
// encoding/json. What configs are made of is assigned directly, and shared with
// raw: no kind may change its config. A value that does not fit is read by
// encoding/json, which says why.
func decode[C any](raw, defaults map[string]any, plan fieldPlan) (any, error) {
	var cfg C
	if plan != nil && assignFields(reflect.ValueOf(&cfg).Elem(), raw, defaults, plan) {
		return cfg, nil
	}
	full := raw
	if len(defaults) > 0 {
		full = make(map[string]any, len(raw)+len(defaults))
		for k, v := range defaults {
			full[k] = v
		}
		for k, v := range raw {
			if v != nil {
				full[k] = v
			}
		}
	}
	text, err := json.Marshal(full)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "the config cannot be written as JSON")
	}
	var strict C
	if err := json.Unmarshal(text, &strict); err != nil {
		return nil, decodeFault(err)
	}
	return strict, nil
}

func decodeFault(err error) error {
	if te, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fault.New(fault.Invalid, "config field %q must be a %s, but its value is a %s", te.Field, te.Type, te.Value)
	}
	return fault.Wrap(fault.Invalid, err, "the config does not fit its kind")
}

// fieldPlan is where the fields of a struct are, by JSON name. nil: the struct
// has something that only encoding/json knows how to read.
type fieldPlan map[string]int

func planOf(t reflect.Type) fieldPlan {
	if t.Kind() != reflect.Struct || reflect.PointerTo(t).Implements(unmarshaler) {
		return nil
	}
	plan := fieldPlan{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous, strings.Contains(options, "string"):
			return nil
		case !f.IsExported() || name == "-":
			continue
		case name == "":
			name = f.Name
		}
		plan[name] = i
	}
	return plan
}

var (
	unmarshaler = reflect.TypeFor[json.Unmarshaler]()
	objectType  = reflect.TypeFor[map[string]any]()
)

func assignFields(into reflect.Value, raw, defaults map[string]any, plan fieldPlan) bool {
	for name, v := range defaults {
		if raw[name] == nil && !assignField(into, name, v, plan) {
			return false
		}
	}
	for name, v := range raw {
		if v != nil && !assignField(into, name, v, plan) {
			return false
		}
	}
	return true
}

func assignField(into reflect.Value, name string, v any, plan fieldPlan) bool {
	i, known := plan[name]
	return known && assign(into.Field(i), v)
}

// assign sets a value as decoding v's JSON would. It reports false, with into
// in any state, where it does not know how.
func assign(into reflect.Value, v any) bool {
	if v == nil {
		return true // null leaves what is there
	}
	switch into.Kind() {
	case reflect.Interface:
		if into.NumMethod() > 0 {
			return false
		}
		plain, ok := jsonvalue.Plain(v)
		if ok {
			into.Set(reflect.ValueOf(plain))
			return true
		}
	case reflect.String:
		if s, ok := v.(string); ok && !custom(into) {
			into.SetString(s)
			return true
		}
	case reflect.Bool:
		if b, ok := v.(bool); ok && !custom(into) {
			into.SetBool(b)
			return true
		}
	case reflect.Int, reflect.Int64:
		if n, ok := whole(v); ok && !custom(into) {
			into.SetInt(n)
			return true
		}
	case reflect.Float64:
		if f, ok := v.(float64); ok && !math.IsNaN(f) && !math.IsInf(f, 0) && !custom(into) {
			into.SetFloat(f)
			return true
		}
	case reflect.Map:
		if object, ok := v.(map[string]any); ok && !custom(into) {
			return assignMap(into, object)
		}
	case reflect.Slice:
		if list, ok := v.([]any); ok && !custom(into) {
			return assignSlice(into, list)
		}
	case reflect.Pointer:
		into.Set(reflect.New(into.Type().Elem()))
		return assign(into.Elem(), v)
	case reflect.Struct:
		if object, ok := v.(map[string]any); ok {
			if plan := planOf(into.Type()); plan != nil {
				return assignFields(into, object, nil, plan)
			}
		}
	}
	text, err := json.Marshal(v)
	return err == nil && json.Unmarshal(text, into.Addr().Interface()) == nil
}

// custom reports whether the type reads its JSON itself.
func custom(v reflect.Value) bool {
	return v.Type().PkgPath() != "" && v.Addr().Type().Implements(unmarshaler)
}

func whole(v any) (int64, bool) {
	switch x := v.(type) {
	case int:
		return int64(x), true
	case int64:
		return x, true
	case float64:
		return int64(x), x == math.Trunc(x) && math.Abs(x) < 1<<53
	}
	return 0, false
}

func assignMap(into reflect.Value, object map[string]any) bool {
	t := into.Type()
	if t.Key().Kind() != reflect.String {
		return false
	}
	if t == objectType {
		if _, plain := jsonvalue.Plain(object); !plain {
			return false
		}
		into.Set(reflect.ValueOf(object))
		return true
	}
	out := reflect.MakeMapWithSize(t, len(object))
	for k, v := range object {
		element := reflect.New(t.Elem()).Elem()
		if !assign(element, v) {
			return false
		}
		out.SetMapIndex(reflect.ValueOf(k).Convert(t.Key()), element)
	}
	into.Set(out)
	return true
}

func assignSlice(into reflect.Value, list []any) bool {
	if into.Type().Elem().Kind() == reflect.Uint8 {
		return false // bytes are written as base64
	}
	out := reflect.MakeSlice(into.Type(), len(list), len(list))
	for i, v := range list {
		if !assign(out.Index(i), v) {
			return false
		}
	}
	into.Set(out)
	return true
}
