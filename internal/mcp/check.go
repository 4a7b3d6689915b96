package mcp

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"agentstudio/internal/fault"
)

// checker gathers everything wrong with a definition, each with its place in
// the body of a request.
type checker struct{ faults []fault.Detail }

func (c *checker) find(place, code, format string, args ...any) {
	c.faults = append(c.faults, fault.Detail{Location: "body." + place, Code: code, Message: fmt.Sprintf(format, args...)})
}

func (c *checker) text(place, s string, most int) {
	if n := utf8.RuneCountInString(s); n > most {
		c.find(place, "too_long", "at most %d characters, there are %d", most, n)
	}
	if strings.Contains(s, "\x00") {
		c.find(place, "not_text", "a text may not hold the NUL character")
	}
}

// check returns everything wrong with a normalised definition.
func (d *Definition) check() []fault.Detail {
	c := &checker{}
	c.name(d.Name)
	c.text("description", d.Description, 10_000)
	c.text("category", d.Category, 64)
	if d.Timeout < minTimeout || d.Timeout > maxTimeout {
		c.find("timeout_ms", "out_of_range", "between %d and %d, or left out for %d", minTimeout.Milliseconds(), maxTimeout.Milliseconds(), defaultTimeout.Milliseconds())
	}
	switch d.Transport {
	case Stdio:
		c.program(d)
	case HTTP, SSE:
		c.address(d)
	default:
		c.find("transport", "unknown", "the transport %q is unknown; there are stdio, http and sse", d.Transport)
	}
	return c.faults
}

func (c *checker) name(name string) {
	switch {
	case name == "":
		c.find("name", "required", "a server has a name: agents call its tools mcp/<name>/<tool>")
	case utf8.RuneCountInString(name) > 100:
		c.find("name", "too_long", "at most 100 characters")
	case strings.Contains(name, "/") || strings.ContainsFunc(name, unicode.IsControl):
		c.find("name", "bad_name", "a name has no slash and no control characters: it is a part of mcp/<name>/<tool>")
	}
}

func (c *checker) program(d *Definition) {
	if d.Command == "" {
		c.find("command", "required", "say which program to start, such as npx")
	}
	c.text("command", d.Command, 1024)
	if len(d.Args) > 100 {
		c.find("args", "too_many", "at most 100 arguments")
	}
	for i, a := range d.Args {
		c.text(fmt.Sprintf("args[%d]", i), a, 8192)
	}
	if d.URL != "" {
		c.find("url", "not_here", "a program on this machine has no address: leave url out, or choose the transport http")
	}
	if len(d.Headers) > 0 {
		c.find("headers", "not_here", "a program on this machine gets env, no headers")
	}
	c.values("env", d.Env, regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,127}$`), "a name has letters, digits and _ only")
}

func (c *checker) address(d *Definition) {
	u, err := url.Parse(d.URL)
	switch {
	case d.URL == "":
		c.find("url", "required", "say where the server is: https://…")
	case len(d.URL) > 2048:
		c.find("url", "too_long", "at most 2048 characters")
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		c.find("url", "bad_url", "an address begins with http:// or https://")
	case u.User != nil:
		c.find("url", "secret", "an address holds no password: send an Authorization header that refers to a credential")
	}
	if d.Command != "" {
		c.find("command", "not_here", "a server at an address needs no program: leave command out, or choose the transport stdio")
	}
	if len(d.Args) > 0 {
		c.find("args", "not_here", "a server at an address needs no arguments of a program")
	}
	if len(d.Env) > 0 {
		c.find("env", "not_here", "a server at an address gets headers, no env")
	}
	c.values("headers", d.Headers, regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$"), "this is no name of a header")
	for name := range d.Headers {
		if lower := strings.ToLower(name); slices.Contains([]string{"host", "content-type", "content-length", "accept", "connection", "transfer-encoding", "last-event-id"}, lower) || strings.HasPrefix(lower, "mcp-") {
			c.find("headers."+name, "reserved", "this header belongs to the protocol")
		}
	}
}

func (c *checker) values(place string, values map[string]string, name *regexp.Regexp, wrong string) {
	if len(values) > 100 {
		c.find(place, "too_many", "at most 100 values")
		return
	}
	names := make([]string, 0, len(values))
	for n := range values {
		names = append(names, n)
	}
	slices.Sort(names)
	for _, n := range names {
		here, value := place+"."+n, values[n]
		if !name.MatchString(n) {
			c.find(here, "bad_name", "%s", wrong)
		}
		c.text(here, value, 8192)
		if strings.ContainsAny(value, "\r\n") {
			c.find(here, "line_break", "a value has no line breaks")
		}
		if value != "" && soundsSecret(n) && !refers(value) {
			c.find(here, "secret", "this looks like a secret, which is not kept here: set it as a credential and write credential:NAME, or Bearer credential:NAME")
		}
	}
}
