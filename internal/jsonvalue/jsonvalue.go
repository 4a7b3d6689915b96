// Package jsonvalue writes JSON where it is written often: outputs of nodes
// and events of executions. What encoding/json does through reflection is done
// here by a type switch; everything that is not plain goes to encoding/json.
package jsonvalue

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
)

// Append appends v to dst as JSON, the keys of objects sorted, and returns the
// longer slice. It writes what json.Marshal writes, and fails where it fails.
func Append(dst []byte, v any) ([]byte, error) {
	switch x := v.(type) {
	case nil:
		return append(dst, "null"...), nil
	case string:
		return AppendString(dst, x), nil
	case bool:
		return strconv.AppendBool(dst, x), nil
	case int:
		return strconv.AppendInt(dst, int64(x), 10), nil
	case int64:
		return strconv.AppendInt(dst, x, 10), nil
	case float64:
		// Whole numbers read the same in every format as long as they are exact.
		if x == math.Trunc(x) && math.Abs(x) < 1<<53 && !(x == 0 && math.Signbit(x)) {
			return strconv.AppendInt(dst, int64(x), 10), nil
		}
	case []any:
		if x != nil {
			return appendList(dst, x)
		}
	case map[string]any:
		if x != nil {
			return appendObject(dst, x)
		}
	}
	text, err := json.Marshal(v)
	if err != nil {
		return dst, err
	}
	return append(dst, text...), nil
}

func appendList(dst []byte, list []any) (_ []byte, err error) {
	dst = append(dst, '[')
	for i, v := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, err = Append(dst, v); err != nil {
			return dst, err
		}
	}
	return append(dst, ']'), nil
}

func appendObject(dst []byte, object map[string]any) (_ []byte, err error) {
	var few [16]string // most objects are small: their keys need no memory of their own
	keys := few[:0]
	for k := range object {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	dst = append(dst, '{')
	for i, k := range keys {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(AppendString(dst, k), ':')
		if dst, err = Append(dst, object[k]); err != nil {
			return dst, err
		}
	}
	return append(dst, '}'), nil
}

// AppendString appends s as a JSON string.
func AppendString(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			text, _ := json.Marshal(s) // a string is always written
			return append(dst, text...)
		}
	}
	dst = append(dst, '"')
	dst = append(dst, s...)
	return append(dst, '"')
}

// Plain returns the value as encoding/json would read it back, without a round
// trip, when every part of it is of a type that decoding makes: then the value
// itself, but for a whole number, which becomes a float64. It reports false
// for anything else. The value is shared, not copied.
func Plain(v any) (any, bool) {
	switch x := v.(type) {
	case nil, bool, string:
		return v, true
	case float64:
		return v, !math.IsNaN(x) && !math.IsInf(x, 0)
	case int:
		return float64(x), true
	case int64:
		return float64(x), true
	}
	return v, isPlain(v)
}

// isPlain reports whether decoding would leave v exactly as it is.
func isPlain(v any) bool {
	switch x := v.(type) {
	case nil, bool, string:
		return true
	case float64:
		return !math.IsNaN(x) && !math.IsInf(x, 0)
	case []any:
		for i := range x {
			if !isPlain(x[i]) {
				return false
			}
		}
		return x != nil
	case map[string]any:
		for k := range x {
			if !isPlain(x[k]) {
				return false
			}
		}
		return x != nil
	}
	return false
}
