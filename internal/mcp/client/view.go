package client

import (
	"encoding/json"

	"agentstudio/internal/mcp"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

func viewTool(t *sdk.Tool) mcp.Tool {
	out := mcp.Tool{Name: t.Name, Title: t.Title, Description: t.Description, InputSchema: schemaOf(t.InputSchema), OutputSchema: schemaOf(t.OutputSchema)}
	if len(out.InputSchema) == 0 {
		out.InputSchema = json.RawMessage(`{"type":"object"}`)
	}
	if a := t.Annotations; a != nil {
		out.ReadOnly, out.Destructive = a.ReadOnlyHint, a.DestructiveHint
		if out.Title == "" {
			out.Title = a.Title
		}
	}
	return out
}

func schemaOf(v any) json.RawMessage {
	if v == nil {
		return nil
	}
	text, _ := json.Marshal(v) // it came as JSON
	return text
}

func viewResult(r *sdk.CallToolResult) *mcp.Result {
	out := &mcp.Result{Content: make([]mcp.Content, 0, len(r.Content)), Structured: r.StructuredContent, IsError: r.IsError}
	for _, c := range r.Content {
		out.Content = append(out.Content, viewContent(c))
	}
	return out
}

func viewContent(c sdk.Content) mcp.Content {
	switch x := c.(type) {
	case *sdk.TextContent:
		return mcp.Content{Type: "text", Text: x.Text}
	case *sdk.ImageContent:
		return mcp.Content{Type: "image", Data: x.Data, MIMEType: x.MIMEType}
	case *sdk.AudioContent:
		return mcp.Content{Type: "audio", Data: x.Data, MIMEType: x.MIMEType}
	case *sdk.ResourceLink:
		return mcp.Content{Type: "resource_link", URI: x.URI, Name: x.Name, MIMEType: x.MIMEType}
	case *sdk.EmbeddedResource:
		if x.Resource == nil {
			return mcp.Content{Type: "resource"}
		}
		return mcp.Content{Type: "resource", URI: x.Resource.URI, MIMEType: x.Resource.MIMEType, Text: x.Resource.Text, Data: x.Resource.Blob}
	}
	text, _ := json.Marshal(c)
	return mcp.Content{Type: "unknown", Text: string(text)}
}
