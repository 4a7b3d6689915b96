package openai

import "agentstudio/internal/llm"

// DefaultModels returns the models the provider of the name ("openai",
// "gemini") is known to have, the one to prefer first; none for others.
func DefaultModels(name string) []llm.ModelInfo {
	switch name {
	case "openai":
		return openAIModels()
	case "gemini":
		return []llm.ModelInfo{
			{Name: "gemini-2.5-flash", Title: "Gemini 2.5 Flash", ContextTokens: 1_048_576, MaxOutput: 65_536, Vision: true, Tools: true},
			{Name: "gemini-2.5-flash-lite", Title: "Gemini 2.5 Flash-Lite", ContextTokens: 1_048_576, MaxOutput: 65_536, Vision: true, Tools: true},
		}
	}
	return nil
}

// openAIModels leaves Tools out where Chat Completions does not give the model
// any: those that cannot stop thinking.
func openAIModels() []llm.ModelInfo {
	list := func(context, output int, tools bool, names ...[2]string) (out []llm.ModelInfo) {
		for _, n := range names {
			out = append(out, llm.ModelInfo{Name: n[0], Title: n[1], ContextTokens: context, MaxOutput: output, Vision: true, Tools: tools})
		}
		return out
	}
	var all []llm.ModelInfo
	all = append(all, list(1_050_000, 128_000, true, [2]string{"gpt-6-sol", "GPT-6 Sol"}, [2]string{"gpt-6-luna", "GPT-6 Luna"})...)
	all = append(all, list(1_050_000, 128_000, false, [2]string{"gpt-6.1-sol", "GPT-6.1 Sol"}, [2]string{"gpt-6-astra", "GPT-6 Astra"})...)
	all = append(all, list(400_000, 128_000, true, [2]string{"gpt-5.2", "GPT-5.2"}, [2]string{"gpt-5.1", "GPT-5.1"}, [2]string{"gpt-5", "GPT-5"},
		[2]string{"gpt-5-mini", "GPT-5 mini"}, [2]string{"gpt-5-nano", "GPT-5 nano"})...)
	all = append(all, list(1_047_576, 32_768, true, [2]string{"gpt-4.1", "GPT-4.1"}, [2]string{"gpt-4.1-mini", "GPT-4.1 mini"}, [2]string{"gpt-4.1-nano", "GPT-4.1 nano"})...)
	all = append(all, list(128_000, 16_384, true, [2]string{"gpt-4o", "GPT-4o"}, [2]string{"gpt-4o-mini", "GPT-4o mini"})...)
	return append(all, list(200_000, 100_000, true, [2]string{"o3", "o3"}, [2]string{"o4-mini", "o4-mini"})...)
}
