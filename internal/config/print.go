package config

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/alecthomas/kong"
)

// Print writes every setting with its value, secrets masked, and where the
// value comes from.
func (r *Resolver) Print(w io.Writer, k *kong.Context) error {
	given := map[string]bool{}
	for _, p := range k.Path {
		if p.Flag != nil && !p.Resolved {
			given[p.Flag.Name] = true
		}
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, f := range settings(k.Model) {
		source := "default"
		if from, ok := r.sources[f.Name]; ok {
			source = from
		}
		if given[f.Name] {
			source = "flag"
		}
		if _, err := fmt.Fprintf(table, "%s\t%s\t%s\n", key(f.Name), show(f.Target.Interface()), source); err != nil {
			return err
		}
	}
	return table.Flush()
}

// show prints a value on one line; empty ones as a dash.
func show(v any) string {
	var s string
	switch v := v.(type) {
	case []Secret:
		parts := make([]string, len(v))
		for i, e := range v {
			parts[i] = e.String()
		}
		s = strings.Join(parts, ",")
	case []string:
		s = strings.Join(v, ",")
	default:
		s = fmt.Sprint(v)
	}
	if s == "" {
		return "-"
	}
	return s
}

func settings(app *kong.Application) []*kong.Flag {
	var out []*kong.Flag
	for _, f := range app.Flags {
		if f.Group != nil {
			out = append(out, f)
		}
	}
	return out
}

// Reference writes the table of all settings in Markdown.
func Reference(w io.Writer, app *kong.Application) error {
	var b strings.Builder
	b.WriteString("# Configuration\n\nWritten by `make generate` from the settings' own declaration.\n\n" +
		"A value comes from the command line, else the environment, else the configuration file (YAML, keys as in the first column with underscores for dashes), else the default. " +
		"Each variable may be given as `…_FILE` too: then the value is read from that file.\n")
	group := ""
	for _, f := range settings(app) {
		if f.Group.Title != group {
			group = f.Group.Title
			fmt.Fprintf(&b, "\n## %s\n\n| flag | environment | default | meaning |\n|---|---|---|---|\n", group)
		}
		value := f.Default
		if value != "" {
			value = "`" + value + "`"
		}
		help := strings.ReplaceAll(strings.ReplaceAll(f.Help, "${enum}", strings.ReplaceAll(f.Enum, ",", ", ")), "|", `\|`)
		fmt.Fprintf(&b, "| `--%s` | `%s` | %s | %s |\n", f.Name, strings.Join(f.Envs, "`, `"), value, help)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
