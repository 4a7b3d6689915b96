package schema_test

import (
	"encoding/json"
	"testing"

	"agentstudio/internal/schema"
)

func TestFaultsSayWhatToDo(t *testing.T) {
	for _, c := range []struct{ rules, value, says string }{
		{`{"minLength":1}`, `""`, "this must not be empty"},
		{`{"minLength":3}`, `"ab"`, "this must have at least 3 characters; it has 2"},
		{`{"maxLength":1}`, `"ab"`, "this must have at most 1 character; it has 2"},
		{`{"minItems":1}`, `[]`, "this must not be empty: add an item"},
		{`{"minItems":2}`, `[1]`, "this must have at least 2 items; it has 1"},
		{`{"maxItems":1}`, `[1,2]`, "this must have at most 1 item; it has 2"},
		{`{"minProperties":1}`, `{}`, "this must have at least 1 field; it has 0"},
		{`{"maxProperties":0}`, `{"a":1}`, "this must have at most 0 fields; it has 1"},
		{`{"minimum":0.5}`, `0`, "this must be at least 0.5, not 0"},
		{`{"maximum":1000000}`, `1000001`, "this must be at most 1000000, not 1000001"},
		{`{"exclusiveMinimum":0}`, `0`, "this must be more than 0, not 0"},
		{`{"exclusiveMaximum":1}`, `1`, "this must be less than 1, not 1"},
		{`{"type":["string","null"]}`, `3`, "this must be of type null or string, not number"},
		{`{"enum":["a","b"]}`, `"c"`, "value must be one of 'a', 'b'"},
	} {
		s, err := schema.Compile(json.RawMessage(c.rules))
		if err != nil {
			t.Fatal(err)
		}
		var value any
		if err := json.Unmarshal([]byte(c.value), &value); err != nil {
			t.Fatal(err)
		}
		if found := s.Validate(value); len(found) != 1 || found[0].Message != c.says {
			t.Errorf("%s of %s: %v, want %q", c.value, c.rules, found, c.says)
		}
	}
}
