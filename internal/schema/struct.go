package schema

import (
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/invopop/jsonschema"
)

// Of describes a struct: its JSON Schema, made from its json and jsonschema
// tags, and the defaults of its fields. Fields that are not in the struct are
// refused by it. It panics when the struct cannot be described: a programmer's
// error at start-up.
func Of[C any](title string) (text json.RawMessage, defaults map[string]any) {
	reflector := jsonschema.Reflector{Anonymous: true, DoNotReference: true, ExpandedStruct: true, RequiredFromJSONSchemaTags: true}
	s := reflector.Reflect(new(C))
	s.Version = ""
	s.Title = title
	defaults = map[string]any{}
	if s.Properties != nil {
		for p := s.Properties.Oldest(); p != nil; p = p.Next() {
			if p.Value.Default != nil {
				defaults[p.Key] = p.Value.Default
			}
		}
	}
	text, err := json.Marshal(s)
	if err != nil {
		panic(fmt.Sprintf("describe %s: %v", reflect.TypeFor[C](), err))
	}
	return text, defaults
}
