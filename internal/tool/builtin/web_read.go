package builtin

import (
	"context"
	"fmt"

	"agentstudio/internal/node"
	"agentstudio/internal/tool"
)

type webReadArgs struct {
	URL string `json:"url" jsonschema:"required,minLength=1" jsonschema_description:"Address of the page, with http:// or https://."`
}

// readable bounds the text of a page that a model is given, in bytes.
const readable = 40_000

func webRead(reader PageReader) tool.Tool {
	t := tool.Define(tool.Spec{Name: "web_read", Title: "Read a page", Category: "web", Risk: node.RiskLow, Limit: perMinute(120),
		Restrictions: []string{readsOnly, publicOnly, fmt.Sprintf("A model is given %d bytes of a page at most.", readable)},
		Description:  "Reads a page on the web and answers its article as Markdown."},
		func(ctx context.Context, _ tool.Call, a webReadArgs) (tool.Result, error) {
			p, err := reader.Read(ctx, a.URL)
			if err != nil {
				return tool.Result{}, err
			}
			return tool.Result{Text: "# " + p.Title + "\n\n" + clip(p.Content, readable), Value: p}, nil
		})
	return needs(t, reader != nil, "page reader")
}
