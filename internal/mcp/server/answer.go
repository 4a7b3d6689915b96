package server

import (
	"encoding/json"
	"fmt"

	"agentstudio/internal/execution"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// answer is how an execution ended, as the result of a tool.
func answer(x *execution.Execution) *sdk.CallToolResult {
	out := &sdk.CallToolResult{Meta: sdk.Meta{"agentstudio/execution_id": x.ID}}
	switch {
	case x.Status == execution.Completed:
		out.Content, out.StructuredContent = contents(x.Output)
	case x.Status == execution.Failed && x.Error != nil:
		text := x.Error.Message
		if x.Error.NodeID != "" {
			text += fmt.Sprintf(" (%s, at the node %s)", x.Error.Code, x.Error.NodeID)
		}
		out.IsError, out.Content = true, []sdk.Content{&sdk.TextContent{Text: text}}
	case x.Status == execution.Cancelled:
		out.IsError, out.Content = true, []sdk.Content{&sdk.TextContent{Text: "the execution was cancelled"}}
	default:
		text := fmt.Sprintf("the execution is %s and goes on; read %s%s for how it ends", x.Status, executionURI, x.ID)
		out.Content = []sdk.Content{&sdk.TextContent{Text: text}, &sdk.ResourceLink{URI: executionURI + x.ID, Name: x.WorkflowName, MIMEType: "application/json"}}
	}
	return out
}

// contents is an output as parts and as a value. An output of the form that
// the node mcp-tool answers is given back part for part.
func contents(output json.RawMessage) ([]sdk.Content, any) {
	var v any
	if len(output) == 0 || json.Unmarshal(output, &v) != nil || v == nil {
		return []sdk.Content{}, nil
	}
	if text, ok := v.(string); ok {
		return []sdk.Content{&sdk.TextContent{Text: text}}, nil
	}
	if parts, ok := partsOf(output); ok {
		var value any
		if object, isObject := v.(map[string]any); isObject {
			value = object["structured"]
		}
		return parts, value
	}
	structured := v
	if _, isObject := v.(map[string]any); !isObject {
		structured = nil // the protocol has objects only
	}
	return []sdk.Content{&sdk.TextContent{Text: string(output)}}, structured
}

// part is one of the content of what mcp-tool answers.
type part struct {
	Type     string `json:"type"`
	Text     string `json:"text"`
	Data     []byte `json:"data"`
	MIMEType string `json:"mime_type"`
	URI      string `json:"uri"`
	Name     string `json:"name"`
}

// partsOf reads an output that is made of parts.
func partsOf(output json.RawMessage) ([]sdk.Content, bool) {
	var made struct {
		Content []part `json:"content"`
	}
	if json.Unmarshal(output, &made) != nil || len(made.Content) == 0 {
		return nil, false
	}
	out := make([]sdk.Content, 0, len(made.Content))
	for _, p := range made.Content {
		switch p.Type {
		case "text":
			out = append(out, &sdk.TextContent{Text: p.Text})
		case "image":
			out = append(out, &sdk.ImageContent{Data: p.Data, MIMEType: p.MIMEType})
		case "audio":
			out = append(out, &sdk.AudioContent{Data: p.Data, MIMEType: p.MIMEType})
		case "resource":
			out = append(out, &sdk.EmbeddedResource{Resource: &sdk.ResourceContents{URI: p.URI, MIMEType: p.MIMEType, Text: p.Text, Blob: p.Data}})
		case "resource_link":
			out = append(out, &sdk.ResourceLink{URI: p.URI, Name: p.Name, MIMEType: p.MIMEType})
		default:
			return nil, false
		}
	}
	return out, true
}
