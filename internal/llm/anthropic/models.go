package anthropic

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"agentstudio/internal/llm"
)

// models lists the models, the one to take when none is named first. Claude
// has more than are listed; any name can be asked for.
func models() []llm.ModelInfo {
	const (
		wide, long   = 1_000_000, 128_000
		small, short = 200_000, 64_000
	)
	model := func(name, title string, context, output int) llm.ModelInfo {
		return llm.ModelInfo{Name: name, Title: title, ContextTokens: context, MaxOutput: output, Vision: true, Tools: true}
	}
	return []llm.ModelInfo{
		model("claude-sonnet-5-5", "Claude Sonnet 5.5", wide, long),
		model("claude-opus-5-5", "Claude Opus 5.5", wide, long),
		model("claude-fable-5-1", "Claude Fable 5.1", wide, long),
		model("claude-haiku-5-5", "Claude Haiku 5.5", wide, long),
		model("claude-fable-5", "Claude Fable 5", wide, long),
		model("claude-opus-5", "Claude Opus 5", wide, long),
		model("claude-sonnet-5", "Claude Sonnet 5", wide, long),
		model("claude-opus-4-8", "Claude Opus 4.8", wide, long),
		model("claude-opus-4-7", "Claude Opus 4.7", wide, long),
		model("claude-opus-4-6", "Claude Opus 4.6", wide, long),
		model("claude-sonnet-4-6", "Claude Sonnet 4.6", wide, long),
		model("claude-opus-4-5", "Claude Opus 4.5", small, short),
		model("claude-sonnet-4-5", "Claude Sonnet 4.5", small, short),
		model("claude-haiku-4-5", "Claude Haiku 4.5", small, short),
	}
}

// traits is what requests to a model must heed.
type traits struct {
	maxOutput   int  // 0: not known
	standard    int  // max_tokens when the caller leaves it open
	samples     bool // it takes a temperature
	adaptive    bool // it decides itself how much to think; the others take a budget
	constrained bool // it can be held to a JSON Schema
}

var generation = regexp.MustCompile(`claude-[a-z]+-(\d+)(?:[-.](\d{1,2}))?(?:[-:@]|$)`)

// traitsOf goes by the generation in the name, so that a model which is newer
// than this list is treated like its elders. A name that is no Claude's, behind
// a gateway, is asked in the plainest way.
func traitsOf(model string) traits {
	t := traits{standard: 8_192, samples: true}
	if m := generation.FindStringSubmatch(model); m != nil {
		major, _ := strconv.Atoi(m[1]) // digits; too many of them are no generation
		minor, _ := strconv.Atoi("0" + m[2])
		version := major*100 + minor
		t.standard = 32_000
		t.samples, t.adaptive, t.constrained = version < 407, version >= 406, version >= 405
	} else if strings.HasPrefix(model, "claude-") {
		t.standard = 4_096 // those named "claude-3-…"
	}
	i := slices.IndexFunc(models(), func(m llm.ModelInfo) bool {
		return model == m.Name || strings.HasPrefix(model, m.Name+"-20") // or with its date
	})
	if i >= 0 {
		t.maxOutput = models()[i].MaxOutput
	}
	return t
}
