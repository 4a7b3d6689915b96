package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// object is JSON.
type object = map[string]any

const reference = "@modelcontextprotocol"

// servers drives the reference servers from nodes and from an agent.
func (t *trial) servers(s *studio) {
	port, err := freePort()
	if err != nil {
		t.check("find a port", err)
		return
	}
	web := t.node(reference+"/server-everything/dist/index.js", "streamableHttp")
	web.Env = append(os.Environ(), "PORT="+port[strings.LastIndex(port, ":")+1:])
	if err := web.Start(); err != nil {
		t.check("start server-everything", err)
		return
	}
	defer func() { _ = web.Process.Kill(); _ = web.Wait() }()
	dir := filepath.Join(s.dir, "shared")
	if err := errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(filepath.Join(dir, "note.txt"), []byte("from a file"), 0o600)); err != nil {
		t.check("write a file", err)
		return
	}
	script := func(name string, more ...string) []string {
		return append([]string{filepath.Join(t.modules, reference, "server-"+name, "dist/index.js")}, more...)
	}
	for _, server := range []object{
		{"name": "everything", "transport": "stdio", "command": "node", "args": script("everything", "stdio")},
		{"name": "everything-http", "transport": "http", "url": "http://" + port + "/mcp"},
		{"name": "files", "transport": "stdio", "command": "node", "args": script("filesystem", dir)},
		{"name": "memory", "transport": "stdio", "command": "node", "args": script("memory"), "env": object{"MEMORY_FILE_PATH": filepath.Join(s.dir, "memory.jsonl")}},
	} {
		var made struct {
			ID string `json:"id"`
		}
		err := s.api(http.MethodPost, "/mcp/servers", server, &made)
		if err == nil {
			err = s.until(func() error { return s.api(http.MethodPost, "/mcp/servers/"+made.ID+"/connect", nil, nil) })
		}
		t.check(fmt.Sprintf("connect to %s", server["name"]), err)
	}
	calls := []struct {
		server, tool string
		args         object
		want         string
	}{
		{"everything", "echo", object{"message": "over stdio"}, "over stdio"},
		{"everything-http", "echo", object{"message": "over http"}, "over http"},
		{"everything", "get-tiny-image", object{}, "image/png"},
		{"files", "read_text_file", object{"path": filepath.Join(dir, "note.txt")}, "from a file"},
		{"memory", "create_entities", object{"entities": []object{{"name": "Ann", "entityType": "person", "observations": []string{"likes tea"}}}}, "likes tea"},
		{"memory", "read_graph", object{}, "likes tea"},
	}
	for _, c := range calls {
		name := c.server + "/" + c.tool
		out, err := s.ends(name, object{"kind": "manual-trigger"}, object{"kind": "mcp-tool", "config": object{"server": c.server, "tool": c.tool, "arguments": c.args}})
		t.check("node "+name, holds(out, err, c.want))
	}
	names, turns := []string{}, []object{}
	for _, c := range calls {
		full := "mcp/" + c.server + "/" + c.tool
		if len(names) == 0 || names[len(names)-1] != full {
			names = append(names, full)
		}
		turns = append(turns, object{"tool_calls": []object{{"name": full, "arguments": c.args}}})
	}
	turns = append(turns, object{"text": "finished"})
	out, err := s.ends("agent", object{"kind": "manual-trigger"}, object{"kind": "agent", "config": object{"model": "demo/scripted", "prompt": "go", "tools": names, "permissions": object{"mode": "auto"}, "script": turns}})
	t.check("agent with tools of all servers", holds(out, err, "finished"))
}

func holds(text string, err error, want string) error {
	if err == nil && !strings.Contains(text, want) {
		err = fmt.Errorf("%q is not in %.500s", want, text)
	}
	return err
}

// conformServer runs the scenarios of the suite that a server of tools and
// executions has to do with; docs/guide/mcp.md says why the others do not.
func (t *trial) conformServer(s *studio) {
	if err := s.answersSuite(); err != nil {
		t.check("workflows for the suite", err)
		return
	}
	address, stop, err := s.open()
	if err != nil {
		t.check("open the server to the suite", err)
		return
	}
	defer stop()
	for _, scenario := range []string{"server-initialize", "ping", "tools-list", "tools-call-simple-text", "tools-call-image", "tools-call-audio", "tools-call-embedded-resource",
		"tools-call-mixed-content", "tools-call-error", "tools-call-with-progress", "json-schema-2020-12", "resources-list", "server-sse-multiple-streams"} {
		out, err := said(t.node(reference+"/conformance/dist/index.js", "server", "--url", address, "--scenario", scenario))
		if strings.Contains(out, "FAILURE") && err == nil {
			err = errors.New(tailOf(out))
		}
		t.check("conformance server "+scenario, err)
	}
}

// answersSuite publishes workflows that are the tools the suite calls.
func (s *studio) answersSuite() error {
	const png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
	const wav = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA="
	trigger := func() object {
		return object{"kind": "workflow-trigger", "config": object{"description": "For the suite"}}
	}
	parts := func(name string, content ...object) error {
		return s.publish(name, trigger(), object{"kind": "set", "config": object{"values": object{"content": content}}})
	}
	text := func(s string) object { return object{"type": "text", "text": s} }
	image := object{"type": "image", "data": png, "mime_type": "image/png"}
	schema := object{"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "additionalProperties": false,
		"$defs":      object{"address": object{"type": "object", "properties": object{"street": object{"type": "string"}, "city": object{"type": "string"}}}},
		"properties": object{"name": object{"type": "string"}, "address": object{"$ref": "#/$defs/address"}}}
	return errors.Join(
		parts("test_simple_text", text("This is a simple text response for testing.")),
		parts("test_image_content", image),
		parts("test_audio_content", object{"type": "audio", "data": wav, "mime_type": "audio/wav"}),
		parts("test_embedded_resource", object{"type": "resource", "uri": "test://embedded-resource", "mime_type": "text/plain", "text": "This is an embedded resource content."}),
		parts("test_multiple_content_types", text("Multiple content types test:"), image,
			object{"type": "resource", "uri": "test://mixed-content-resource", "mime_type": "application/json", "text": `{"test":"data","value":123}`}),
		s.publish("test_error_handling", trigger(), object{"kind": "stop", "config": object{"status": "failed", "message": "This tool intentionally returns an error for testing"}}),
		s.publish("test_tool_with_progress", trigger(), object{"kind": "wait", "config": object{"seconds": 1}}, object{"kind": "set", "config": object{"values": object{"done": true}}}),
		s.publish("json_schema_2020_12_tool", object{"kind": "workflow-trigger", "config": object{"description": "For the suite", "input_schema": schema}}),
	)
}

// conformClient lets the suite serve our client.
func (t *trial) conformClient() {
	self, err := os.Executable()
	if err != nil {
		t.check("find this program", err)
		return
	}
	for _, scenario := range []string{"initialize", "tools_call", "sse-retry"} {
		out, err := said(t.node(reference+"/conformance/dist/index.js", "client", "--command", self+" probe", "--scenario", scenario))
		if strings.Contains(out, "FAILURE") && err == nil {
			err = errors.New(tailOf(out))
		}
		t.check("conformance client "+scenario, err)
	}
}

// inspect has the inspector use the studio's server.
func (t *trial) inspect(s *studio) {
	bin := "../node_modules/.bin/mcp-inspector"
	base := []string{"--cli", s.url + "/mcp", "--transport", "http", "--header", "Authorization: Bearer " + s.token, "--method"}
	for _, c := range []struct {
		want string
		args []string
	}{{"test_simple_text", []string{"tools/list"}}, {"simple text response", []string{"tools/call", "--tool-name", "test_simple_text"}}, {"agentstudio://executions/", []string{"resources/list"}}} {
		out, err := said(t.node(append(append([]string{bin}, base...), c.args...)...))
		t.check("inspector "+c.args[0], holds(out, err, c.want))
	}
	out, err := said(t.node(bin, "--cli", s.cmd.Path, "mcp", "-e", "STUDIO_SERVER="+s.url, "-e", "STUDIO_API_KEY="+s.token, "--method", "tools/list"))
	t.check("inspector over agentstudio mcp", holds(out, err, "test_simple_text"))
}

// leavesNothing kills the studio and looks for what its servers have left.
func (t *trial) leavesNothing(s *studio) {
	below := descendants(s.cmd.Process.Pid)
	if len(below) < 4 { // a supervisor and a program for some servers
		t.check("servers run below the studio", fmt.Errorf("only %d processes", len(below)))
		return
	}
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
	left := below
	for end := time.Now().Add(10 * time.Second); len(left) > 0 && time.Now().Before(end); <-time.After(20 * time.Millisecond) {
		left = alive(below)
	}
	var err error
	if len(left) > 0 {
		err = fmt.Errorf("processes %v are left", left)
	}
	t.check(fmt.Sprintf("none of %d processes is left after the studio was killed", len(below)), err)
}

// stat reads the state and the parent of a process.
func stat(pid int) (state string, parent int) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return "", 0
	}
	fields := strings.Fields(string(text[strings.LastIndex(string(text), ")")+1:]))
	if len(fields) < 2 {
		return "", 0
	}
	parent, _ = strconv.Atoi(fields[1])
	return fields[0], parent
}

func alive(pids []int) []int {
	var out []int
	for _, pid := range pids {
		if state, _ := stat(pid); state != "" && state != "Z" {
			out = append(out, pid)
		}
	}
	return out
}

func descendants(of int) []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	children := map[int][]int{}
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			_, parent := stat(pid)
			children[parent] = append(children[parent], pid)
		}
	}
	var out []int
	for next := []int{of}; len(next) > 0; next = next[1:] {
		out = append(out, children[next[0]]...)
		next = append(next, children[next[0]]...)
	}
	return out
}
