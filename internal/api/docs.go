package api

import "github.com/danielgtaylor/huma/v2"

func operationsOf(item *huma.PathItem) []*huma.Operation {
	var out []*huma.Operation
	for _, o := range []*huma.Operation{item.Get, item.Post, item.Put, item.Patch, item.Delete} {
		if o != nil {
			out = append(out, o)
		}
	}
	return out
}

// resolve follows a reference into the document's components.
func resolve(doc *huma.OpenAPI, s *huma.Schema) *huma.Schema {
	if s == nil || s.Ref == "" {
		return s
	}
	if found := doc.Components.Schemas.SchemaFromRef(s.Ref); found != nil {
		return found
	}
	return s
}
