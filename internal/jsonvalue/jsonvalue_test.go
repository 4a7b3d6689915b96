package jsonvalue

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestItWritesWhatTheStandardLibraryWrites(t *testing.T) {
	many := map[string]any{}
	for _, k := range strings.Split("a b c d e f g h i j k l m n o p q r s t u v w x y z é \"", " ") {
		many[k] = k
	}
	for _, v := range []any{nil, "", "plain", "ein Bär sagt \"hm\"\\\n<b>&\u2028", "\xff", true, false, 0, -7, int64(1) << 60, 0.0, math.Copysign(0, -1), 1.5, -3.0,
		1e21, 1e-9, float64(1 << 53), float64(1<<53 - 1), []any{}, []any(nil), []any{1, "a", nil, []any{2.5}}, map[string]any{}, map[string]any(nil), many,
		map[string]any{"z": map[string]any{"b": 1, "a": []any{"x"}}}, struct {
			A int `json:"a"`
		}{3}, json.RawMessage(`{"x":1}`), time.Unix(0, 0).UTC(), []string{"a"}} {
		want, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Append([]byte("before "), v)
		if err != nil || string(got) != "before "+string(want) {
			t.Errorf("%#v is written as %s (%v), want %s", v, got, err, want)
		}
	}
}

func TestItRefusesWhatJSONCannotSay(t *testing.T) {
	for _, v := range []any{math.NaN(), math.Inf(1), []any{func() {}}, map[string]any{"a": make(chan int)}} {
		if text, err := Append(nil, v); err == nil {
			t.Errorf("%v is written as %s", v, text)
		}
	}
}

func TestPlainValuesReadBackAsTheyAre(t *testing.T) {
	shared := map[string]any{"a": []any{1.5, nil, "x", true, map[string]any{}}}
	for _, v := range []any{nil, "a", true, 3, int64(4), 2.5, shared, []any{}, map[string]any{"n": 1}, []any{1}, []string{"a"}, []any(nil), map[string]any(nil), math.NaN()} {
		plain, ok := Plain(v)
		if !ok {
			continue
		}
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(v, err)
		}
		var back any
		if err := json.Unmarshal(text, &back); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(back, plain) {
			t.Errorf("%#v reads back as %#v, and Plain says %#v", v, back, plain)
		}
	}
	if _, ok := Plain(shared); !ok {
		t.Error("plain data is not seen as such")
	}
	if _, ok := Plain([]any{1}); ok {
		t.Error("a whole number inside a list would change its type, and Plain did not see it")
	}
}
