package anthropic

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	sdk "github.com/anthropics/anthropic-sdk-go"
	"github.com/anthropics/anthropic-sdk-go/packages/param"

	"agentstudio/internal/fault"
	"agentstudio/internal/llm"
)

// request translates ours into theirs. The fault is of kind Invalid: a block
// the API has no form for.
func request(req llm.Request) (sdk.MessageNewParams, error) {
	t := traitsOf(req.Model)
	params := sdk.MessageNewParams{Model: req.Model, Tools: tools(req.Tools), OutputConfig: sdk.OutputConfigParam{Format: format(t, req.OutputSchema)}}
	limit(&params, t, req)
	if strings.TrimSpace(req.System) != "" {
		params.System = []sdk.TextBlockParam{{Text: req.System}}
	}
	if req.Temperature != nil && t.samples && req.ThinkingTokens <= 0 {
		params.Temperature = param.NewOpt(*req.Temperature)
	}
	if id := req.Caller.UserID; id != "" {
		params.Metadata.UserID = param.NewOpt(id)
	}
	var err error
	if params.Messages, err = messages(req.Messages); err != nil {
		return params, err
	}
	remember(&params)
	return params, nil
}

// limit sets max_tokens and the thinking, which counts towards it.
func limit(params *sdk.MessageNewParams, t traits, req llm.Request) {
	const leastBudget = 1_024 // the API's
	most := req.MaxTokens
	if most <= 0 {
		most = t.standard
	}
	budget := 0
	if req.ThinkingTokens > 0 {
		budget = max(req.ThinkingTokens, leastBudget)
		most += budget
	}
	if t.maxOutput > 0 {
		most = min(most, t.maxOutput)
	}
	params.MaxTokens = int64(most)
	switch {
	case budget == 0:
	case t.adaptive:
		params.Thinking.OfAdaptive = &sdk.ThinkingConfigAdaptiveParam{Display: sdk.ThinkingConfigAdaptiveDisplaySummarized}
		params.OutputConfig.Effort = effort(budget)
	default:
		params.Thinking = sdk.ThinkingConfigParamOfEnabled(int64(min(budget, most-1)))
	}
}

// effort is what the models that take no budget take in its place.
func effort(budget int) sdk.OutputConfigEffort {
	switch {
	case budget < 4_096:
		return sdk.OutputConfigEffortLow
	case budget < 16_384:
		return sdk.OutputConfigEffortMedium
	}
	return sdk.OutputConfigEffortHigh
}

func tools(specs []llm.ToolSpec) []sdk.ToolUnionParam {
	var out []sdk.ToolUnionParam
	for _, s := range specs {
		schema := s.Schema
		if len(schema) == 0 {
			schema = json.RawMessage(`{"type":"object","properties":{}}`)
		}
		t := &sdk.ToolParam{Name: s.Name, InputSchema: param.Override[sdk.ToolInputSchemaParam](schema)}
		if s.Description != "" {
			t.Description = param.NewOpt(s.Description)
		}
		out = append(out, sdk.ToolUnionParam{OfTool: t})
	}
	return out
}

// remember marks what the API shall keep for the next call: the tools, the
// system prompt, and the conversation up to its last user turn. The last is
// marked only where a next call is likely, since it costs extra to keep.
func remember(params *sdk.MessageNewParams) {
	mark := sdk.NewCacheControlEphemeralParam()
	if n := len(params.Tools); n > 0 {
		params.Tools[n-1].OfTool.CacheControl = mark
	}
	if n := len(params.System); n > 0 {
		params.System[n-1].CacheControl = mark
	}
	if len(params.Tools) == 0 && len(params.Messages) < 2 {
		return
	}
	for _, m := range slices.Backward(params.Messages) {
		if m.Role != sdk.MessageParamRoleUser {
			continue
		}
		if at := m.Content[len(m.Content)-1].GetCacheControl(); at != nil {
			*at = mark
		}
		return
	}
}

// messages translates a conversation. The API knows two roles and wants them
// to alternate: neighbours of the same role become one message, so that all
// results of a turn answer it together.
func messages(in []llm.Message) ([]sdk.MessageParam, error) {
	var out []sdk.MessageParam
	for _, m := range in {
		role := sdk.MessageParamRoleUser
		if m.Role == llm.Assistant {
			role = sdk.MessageParamRoleAssistant
		}
		content, err := blocks(m.Content)
		switch {
		case err != nil:
			return nil, err
		case len(content) == 0:
			continue
		case len(out) > 0 && out[len(out)-1].Role == role:
			out[len(out)-1].Content = append(out[len(out)-1].Content, content...)
		default:
			out = append(out, sdk.MessageParam{Role: role, Content: content})
		}
	}
	return out, nil
}

// blocks translates a message. Left out is what the API refuses: empty texts,
// and thinking that it did not sign or that nothing follows.
func blocks(in []llm.Block) ([]sdk.ContentBlockParamUnion, error) {
	var out []sdk.ContentBlockParamUnion
	for _, b := range in {
		switch {
		case b.Type == llm.TextBlock && strings.TrimSpace(b.Text) == "", b.Type == llm.ThinkingBlock && b.Signature == "" && len(b.Data) == 0:
			continue
		}
		block, err := translate(b)
		if err != nil {
			return nil, err
		}
		out = append(out, block)
	}
	for n := len(out); n > 0 && (out[n-1].OfThinking != nil || out[n-1].OfRedactedThinking != nil); n = len(out) {
		out = out[:n-1]
	}
	return out, nil
}

func translate(b llm.Block) (sdk.ContentBlockParamUnion, error) {
	switch b.Type {
	case llm.TextBlock:
		return sdk.NewTextBlock(b.Text), nil
	case llm.ThinkingBlock:
		if len(b.Data) > 0 {
			return sdk.NewRedactedThinkingBlock(string(b.Data)), nil
		}
		return sdk.NewThinkingBlock(b.Signature, b.Text), nil
	case llm.ImageBlock:
		if b.URL != "" {
			return sdk.NewImageBlock(sdk.URLImageSourceParam{URL: b.URL}), nil
		}
		return sdk.NewImageBlockBase64(b.MediaType, base64.StdEncoding.EncodeToString(b.Data)), nil
	case llm.DocumentBlock:
		return document(b)
	case llm.ToolCallBlock:
		return sdk.NewToolUseBlock(callID(b.ID), input(b.Arguments), b.Name), nil
	case llm.ToolResultBlock:
		return result(b), nil
	}
	return sdk.ContentBlockParamUnion{}, fault.New(fault.Invalid, "%s cannot be sent a block of type %q", title, b.Type)
}

func document(b llm.Block) (sdk.ContentBlockParamUnion, error) {
	switch {
	case b.URL != "":
		return sdk.NewDocumentBlock(sdk.URLPDFSourceParam{URL: b.URL}), nil
	case b.MediaType == "application/pdf":
		return sdk.NewDocumentBlock(sdk.Base64PDFSourceParam{Data: base64.StdEncoding.EncodeToString(b.Data)}), nil
	case strings.HasPrefix(b.MediaType, "text/"):
		return sdk.NewDocumentBlock(sdk.PlainTextSourceParam{Data: string(b.Data)}), nil
	}
	return sdk.ContentBlockParamUnion{}, fault.New(fault.Invalid, "%s reads documents that are PDF or text, not %q", title, b.MediaType)
}

func result(b llm.Block) sdk.ContentBlockParamUnion {
	text := b.Text
	if b.Failed && strings.TrimSpace(text) == "" {
		text = "the tool failed and did not say why" // the API wants a failure to say something
	}
	r := &sdk.ToolResultBlockParam{ToolUseID: callID(b.ID)}
	if strings.TrimSpace(text) != "" {
		r.Content = []sdk.ToolResultBlockParamContentUnion{{OfText: &sdk.TextBlockParam{Text: text}}}
	}
	if b.Failed {
		r.IsError = param.NewOpt(true)
	}
	return sdk.ContentBlockParamUnion{OfToolResult: r}
}

// input returns arguments as the object the API wants them to be. What a model
// once wrote that is none is shown to it inside of one.
func input(arguments json.RawMessage) json.RawMessage {
	text := bytes.TrimSpace(arguments)
	switch {
	case len(text) == 0:
		return json.RawMessage("{}")
	case json.Valid(text) && text[0] == '{':
		return json.RawMessage(text)
	case !json.Valid(text):
		text, _ = json.Marshal(string(text)) // a string: always written
	}
	return json.RawMessage(`{"invalid_arguments":` + string(text) + `}`)
}

var strangeID = regexp.MustCompile(`[^a-zA-Z0-9_-]`)

// callID is the id of a call as the API takes it; other providers, whose calls
// may be in the conversation, use more characters.
func callID(id string) string { return strangeID.ReplaceAllString(id, "_") }
