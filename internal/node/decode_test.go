package node

import (
	"encoding/json"
	"math"
	"reflect"
	"testing"
	"time"
)

type inner struct {
	Name string `json:"name"`
	When Expression
}

type everything struct {
	Text    string            `json:"text"`
	Count   int               `json:"count,omitempty"`
	Big     int64             `json:"big"`
	Ratio   float64           `json:"ratio"`
	On      bool              `json:"on"`
	Maybe   *float64          `json:"maybe"`
	Any     any               `json:"any"`
	Object  map[string]any    `json:"object"`
	Words   map[string]string `json:"words"`
	List    []string          `json:"list"`
	Things  []any             `json:"things"`
	Inner   inner             `json:"inner"`
	Inners  []inner           `json:"inners"`
	Pointer *inner            `json:"pointer"`
	Moment  time.Time         `json:"moment"`
	Bytes   []byte            `json:"bytes"`
	Raw     json.RawMessage   `json:"raw"`
	Hidden  string            `json:"-"`
	Bare    string
}

func TestConfigsAreReadAsEncodingJSONReadsThem(t *testing.T) {
	plan := planOf(reflect.TypeFor[everything]())
	if plan == nil {
		t.Fatal("the struct has no plan: nothing would be assigned directly")
	}
	values := []any{nil, "", "a", true, 3, int64(4), 5.0, 2.5, -1.0, 1e20, math.NaN(), []any{}, []any{"a", "b"}, []any{1, nil}, []any{map[string]any{"name": "n", "When": "x"}},
		[]string{"typed"}, map[string]any{}, map[string]any{"a": "b"}, map[string]any{"a": 1}, map[string]any{"name": "n"}, map[string]any{"name": 3}, map[string]any{"NAME": "case"},
		"2026-01-02T03:04:05Z", "aGk=", map[string]string{"typed": "map"}, struct{ A int }{1}}
	fields := []string{"Hidden", "Bare", "unknown", "COUNT"}
	for name := range plan {
		fields = append(fields, name)
	}
	for _, field := range fields {
		for _, v := range values {
			raw := map[string]any{field: v}
			defaults := map[string]any{"text": "default", "count": 7.0}
			got, gotErr := decode[everything](raw, defaults, plan)
			want, wantErr := decode[everything](raw, defaults, nil) // without a plan encoding/json does it
			if (gotErr == nil) != (wantErr == nil) || gotErr != nil && gotErr.Error() != wantErr.Error() {
				t.Errorf("%s = %#v: %v, want %v", field, v, gotErr, wantErr)
				continue
			}
			if gotErr == nil && !reflect.DeepEqual(got, want) {
				t.Errorf("%s = %#v is read as\n%+v, want\n%+v", field, v, got, want)
			}
		}
	}
}
