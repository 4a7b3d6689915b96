package app

import (
	"agentstudio/internal/node"
	"agentstudio/internal/node/builtin"
	"agentstudio/internal/workflow"
)

// Checker returns the codec and the validation of definitions, without a
// database.
func Checker() (*workflow.Codec, func(*workflow.Definition) workflow.Report) {
	kinds := node.NewKinds(builtin.Kinds(builtin.Deps{})...)
	return workflow.NewCodec(), func(d *workflow.Definition) workflow.Report {
		_, report := workflow.Compile(d, kinds)
		return report
	}
}
