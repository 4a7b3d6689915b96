package openai

import (
	"regexp"
	"strings"
)

// dialect is in what a server differs from the others that speak the protocol.
type dialect struct {
	official bool // OpenAI's own, or Azure's copy of it
	gemini   bool
	// thinkingBack is set where a call's thinking is expected back with it.
	thinkingBack bool
}

// dialectOf returns the dialect of a host; most servers take the plain one.
func dialectOf(host string) dialect {
	in := func(domain string) bool { return host == domain || strings.HasSuffix(host, "."+domain) }
	return dialect{
		official:     in("openai.com") || in("openai.azure.com"),
		gemini:       in("generativelanguage.googleapis.com"),
		thinkingBack: in("deepseek.com") || in("moonshot.ai") || in("moonshot.cn"),
	}
}

// home returns the provider's own base URL.
func home(name string) string {
	if name == "gemini" {
		return "https://generativelanguage.googleapis.com/v1beta/openai"
	}
	return "https://api.openai.com/v1"
}

// OpenAI's models say by their names how they are asked, whoever serves them.
var (
	thinking = regexp.MustCompile(`^(o[1-9]|gpt-[5-9])`)   // takes no temperature
	muted    = regexp.MustCompile(`^gpt-(5\.[6-9]|[6-9])`) // takes tools only when told not to think
)

// family returns whether a model thinks, and whether it has to be mute for
// tools. "openai/gpt-5" of a gateway is the same model as "gpt-5".
func family(model string) (thinks, mute bool) {
	base := model[strings.LastIndexByte(model, '/')+1:]
	if strings.Contains(base, "-chat") {
		return false, false
	}
	return thinking.MatchString(base), muted.MatchString(base)
}
