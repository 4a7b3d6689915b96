package openai

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"

	sdk "github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/shared"

	"agentstudio/internal/fault"
	"agentstudio/internal/llm"
)

// request says ours in the words of the server. Its error is a fault of kind
// Invalid.
func (d dialect) request(req llm.Request) (sdk.ChatCompletionNewParams, error) {
	params := sdk.ChatCompletionNewParams{Model: req.Model, Messages: d.messages(req)}
	params.StreamOptions.IncludeUsage = sdk.Bool(true)
	switch {
	case req.MaxTokens > 0 && d.official:
		params.MaxCompletionTokens = sdk.Int(int64(req.MaxTokens))
	case req.MaxTokens > 0:
		params.MaxTokens = sdk.Int(int64(req.MaxTokens))
	}
	thinks, mute := family(req.Model)
	if req.Temperature != nil && !thinks {
		params.Temperature = sdk.Float(*req.Temperature)
	}
	switch {
	case d.official && mute && len(req.Tools) > 0:
		params.ReasoningEffort = shared.ReasoningEffortNone
	case d.official && thinks || d.gemini:
		params.ReasoningEffort = effort(req.ThinkingTokens)
	}
	if d.official && req.Caller.UserID != "" {
		params.SafetyIdentifier = sdk.String(req.Caller.UserID)
	}
	for _, t := range req.Tools {
		tool, err := function(t)
		if err != nil {
			return params, err
		}
		params.Tools = append(params.Tools, tool)
	}
	// Elsewhere than at OpenAI a format for the answer shuts the tools out.
	if len(req.OutputSchema) > 0 && (d.official || len(req.Tools) == 0) {
		params.ResponseFormat = format(req.OutputSchema)
	}
	return params, nil
}

// effort is the word for about so many tokens of thinking; "" leaves it to the
// server.
func effort(tokens int) shared.ReasoningEffort {
	const little, much = 2_048, 8_192
	switch {
	case tokens <= 0:
		return ""
	case tokens <= little:
		return shared.ReasoningEffortLow
	case tokens <= much:
		return shared.ReasoningEffortMedium
	}
	return shared.ReasoningEffortHigh
}

func function(t llm.ToolSpec) (sdk.ChatCompletionToolUnionParam, error) {
	def := shared.FunctionDefinitionParam{Name: t.Name, Parameters: shared.FunctionParameters{"type": "object", "properties": map[string]any{}}}
	if t.Description != "" {
		def.Description = sdk.String(t.Description)
	}
	if len(t.Schema) > 0 {
		schema, err := parsed(t.Schema)
		if err != nil {
			return sdk.ChatCompletionToolUnionParam{}, fault.Wrap(fault.Invalid, err, "the schema of the tool %s is no JSON object", t.Name)
		}
		def.Parameters = schema
	}
	return sdk.ChatCompletionFunctionTool(def), nil
}

// messages returns the conversation; each result of a tool is a message.
func (d dialect) messages(req llm.Request) []sdk.ChatCompletionMessageParamUnion {
	out := []sdk.ChatCompletionMessageParamUnion{}
	if req.System != "" {
		out = append(out, sdk.SystemMessage(req.System))
	}
	for _, m := range req.Messages {
		if m.Role == llm.Assistant {
			out = append(out, d.assistant(m.Content))
			continue
		}
		var rest []llm.Block
		for _, b := range m.Content {
			if b.Type == llm.ToolResultBlock {
				out = append(out, sdk.ToolMessage(result(b), b.ID))
			} else {
				rest = append(rest, b)
			}
		}
		if len(rest) > 0 {
			out = append(out, user(rest))
		}
	}
	return out
}

// result is what a tool said. The protocol has no mark for a failure: it is
// said in words.
func result(b llm.Block) string {
	if b.Failed && !strings.HasPrefix(strings.ToLower(b.Text), "error") {
		return "Error: " + b.Text
	}
	return b.Text
}

// user returns one text where there is only text: not every server takes parts.
func user(blocks []llm.Block) sdk.ChatCompletionMessageParamUnion {
	var parts []sdk.ChatCompletionContentPartUnionParam
	var texts []string
	for _, b := range blocks {
		switch {
		case b.Type == llm.ImageBlock:
			parts = append(parts, sdk.ImageContentPart(sdk.ChatCompletionContentPartImageImageURLParam{URL: address(b)}))
		case b.Type == llm.DocumentBlock && strings.HasPrefix(b.MediaType, "text/"):
			texts = append(texts, string(b.Data))
			parts = append(parts, sdk.TextContentPart(string(b.Data)))
		case b.Type == llm.DocumentBlock:
			parts = append(parts, sdk.FileContentPart(sdk.ChatCompletionContentPartFileFileParam{FileData: sdk.String(address(b)), Filename: sdk.String("document.pdf")}))
		case b.Type == llm.TextBlock:
			texts = append(texts, b.Text)
			parts = append(parts, sdk.TextContentPart(b.Text))
		}
	}
	if len(parts) == len(texts) {
		return sdk.UserMessage(strings.Join(texts, "\n\n"))
	}
	return sdk.UserMessage(parts)
}

// address returns the URL of a block, with its bytes in it where it has some.
func address(b llm.Block) string {
	if len(b.Data) == 0 {
		return b.URL
	}
	return "data:" + b.MediaType + ";base64," + base64.StdEncoding.EncodeToString(b.Data)
}

func (d dialect) assistant(blocks []llm.Block) sdk.ChatCompletionMessageParamUnion {
	var said sdk.ChatCompletionAssistantMessageParam
	var text, thinking strings.Builder
	for _, b := range blocks {
		switch b.Type {
		case llm.TextBlock:
			text.WriteString(b.Text)
		case llm.ThinkingBlock:
			thinking.WriteString(b.Text)
		case llm.ToolCallBlock:
			said.ToolCalls = append(said.ToolCalls, d.call(b))
		}
	}
	if text.Len() > 0 || len(said.ToolCalls) == 0 {
		said.Content.OfString = sdk.String(text.String())
	}
	if d.thinkingBack && thinking.Len() > 0 && len(said.ToolCalls) > 0 {
		said.SetExtraFields(map[string]any{"reasoning_content": thinking.String()})
	}
	return sdk.ChatCompletionMessageParamUnion{OfAssistant: &said}
}

func (d dialect) call(b llm.Block) sdk.ChatCompletionMessageToolCallUnionParam {
	call := &sdk.ChatCompletionMessageFunctionToolCallParam{ID: b.ID}
	call.Function.Name = b.Name
	call.Function.Arguments = d.arguments(b.Arguments)
	if b.Signature != "" && d.gemini {
		call.SetExtraFields(map[string]any{"extra_content": map[string]any{"google": map[string]any{"thought_signature": b.Signature}}})
	}
	return sdk.ChatCompletionMessageToolCallUnionParam{OfFunction: call}
}

// arguments returns the text of a call's arguments. What is no object came
// from a model that erred: OpenAI takes it back as it was, other servers read
// it and break.
func (d dialect) arguments(args json.RawMessage) string {
	var object map[string]json.RawMessage
	if json.Unmarshal(args, &object) == nil && object != nil {
		return string(bytes.TrimSpace(args))
	}
	if !d.official || len(bytes.TrimSpace(args)) == 0 {
		return "{}"
	}
	var text string
	if json.Unmarshal(args, &text) == nil {
		return text
	}
	return string(args)
}
