package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

const (
	// answerTime bounds one request; streams are cut off by it.
	answerTime  = 5 * time.Second
	streamTime  = 200 * time.Millisecond
	maxFindings = 20
	maxIDs      = 50
	plantEvery  = 100 // requests
)

// Finding is a request that made the studio fail.
type Finding struct {
	Operation string
	Request   string // method, address, headers and body
	Status    int
	Answer    string
}

// Report is what a run found.
type Report struct {
	Sent int
	// Unsendable counts the requests that the client could not write.
	Unsendable int
	Statuses   map[int]int
	Findings   []Finding // the first twenty
}

// String shows the report to people.
func (r *Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d requests\n", r.Sent)
	for _, status := range slices.Sorted(maps.Keys(r.Statuses)) {
		fmt.Fprintf(&b, "  %d: %d\n", status, r.Statuses[status])
	}
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "\n%s answered %d\n%s\n-> %s\n", f.Operation, f.Status, f.Request, f.Answer)
	}
	return b.String()
}

// operation is one operation of the document.
type operation struct {
	id, method, path string
	parameters       []parameter
	body             map[string]any // its schema; nil for none
	stream           bool
}

type parameter struct {
	name, in string
	required bool
	schema   map[string]any
}

// Fuzzer sends requests. It is not safe for concurrent use.
type Fuzzer struct {
	base, token string
	client      *http.Client
	maker       *maker
	operations  []operation
	ids         map[string][]string // seen in answers, by the path they belong to
}

// New reads the document of the studio.
func New(ctx context.Context, base, token string, seed uint64) (*Fuzzer, error) {
	f := &Fuzzer{base: strings.TrimRight(base, "/"), token: token, client: &http.Client{Timeout: answerTime}, ids: map[string][]string{}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.base+"/openapi.json", http.NoBody)
	if err != nil {
		return nil, err
	}
	resp, err := f.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("read the document: %w", err)
	}
	defer resp.Body.Close()
	var doc map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&doc); err != nil {
		return nil, fmt.Errorf("read the document: %w", err)
	}
	f.maker = &maker{rng: rand.New(rand.NewPCG(seed, seed)), doc: doc, known: f.known}
	f.operations = operations(doc)
	if len(f.operations) == 0 {
		return nil, errors.New("the document has no operations")
	}
	return f, nil
}

// operations lists the document's, in a stable order, without those that
// would sign the fuzzer itself out.
func operations(doc map[string]any) []operation {
	var out []operation
	paths, _ := doc["paths"].(map[string]any)
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		item, _ := paths[path].(map[string]any)
		for _, method := range []string{"get", "post", "put", "patch", "delete"} {
			o, ok := item[method].(map[string]any)
			if !ok || o["operationId"] == "logout" || o["operationId"] == "end-session" {
				continue
			}
			out = append(out, readOperation(o, strings.ToUpper(method), path))
		}
	}
	return out
}

func readOperation(o map[string]any, method, path string) operation {
	id, _ := o["operationId"].(string)
	out := operation{id: id, method: method, path: path, body: bodySchema(o)}
	list, _ := o["parameters"].([]any)
	for _, raw := range list {
		p, _ := raw.(map[string]any)
		name, _ := p["name"].(string)
		in, _ := p["in"].(string)
		required, _ := p["required"].(bool)
		schema, _ := p["schema"].(map[string]any)
		out.parameters = append(out.parameters, parameter{name, in, required, schema})
	}
	text, err := json.Marshal(o["responses"])
	out.stream = err == nil && bytes.Contains(text, []byte("text/event-stream"))
	return out
}

func bodySchema(o map[string]any) map[string]any {
	body, _ := o["requestBody"].(map[string]any)
	content, _ := body["content"].(map[string]any)
	for _, media := range slices.Sorted(maps.Keys(content)) {
		m, _ := content[media].(map[string]any)
		if schema, ok := m["schema"].(map[string]any); ok {
			return schema
		}
	}
	return nil
}

// Run sends so many requests, to every operation in turn, and reports what
// failed.
func (f *Fuzzer) Run(ctx context.Context, count int) (*Report, error) {
	r := &Report{Statuses: map[int]int{}}
	for i := range count {
		if i%plantEvery == 0 {
			if err := f.plant(ctx); err != nil {
				return r, err
			}
		}
		o := f.operations[i%len(f.operations)]
		if err := f.send(ctx, o, r); err != nil {
			return r, err
		}
	}
	return r, nil
}

func (f *Fuzzer) send(ctx context.Context, o operation, r *Report) error {
	if o.stream {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, streamTime)
		defer cancel()
	}
	req, body, err := f.request(ctx, o)
	if err != nil {
		r.Unsendable++ // an address that cannot be written
		return nil     //nolint:nilerr // and so cannot be sent
	}
	r.Sent++
	resp, err := f.client.Do(req)
	if err != nil {
		if o.stream && errors.Is(err, context.DeadlineExceeded) {
			return nil //nolint:nilerr // the stream had nothing to tell in its time
		}
		return fmt.Errorf("%s %s: %w", req.Method, req.URL, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil && !o.stream {
		return fmt.Errorf("%s %s: %w", req.Method, req.URL, err)
	}
	r.Statuses[resp.StatusCode]++
	if failed(resp.StatusCode, text) && len(r.Findings) < maxFindings {
		r.Findings = append(r.Findings, Finding{Operation: o.id, Status: resp.StatusCode, Answer: string(text),
			Request: fmt.Sprintf("%s %s\n%v\n%.4000s", req.Method, req.URL, req.Header, body)})
	}
	if resp.StatusCode < http.StatusMultipleChoices {
		f.learn(o.path, text)
	}
	return nil
}

// request makes one request, mostly right in three of four.
func (f *Fuzzer) request(ctx context.Context, o operation) (*http.Request, []byte, error) {
	m := f.maker
	m.broken = m.rng.IntN(4) == 0
	path := o.path
	query := url.Values{}
	header := http.Header{}
	for _, p := range o.parameters {
		if !p.required && m.rng.IntN(3) > 0 {
			continue
		}
		v := m.text(p.name, o.path, p.schema)
		switch p.in {
		case "path":
			path = strings.ReplaceAll(path, "{"+p.name+"}", url.PathEscape(v))
		case "query":
			query.Add(p.name, v)
		case "header":
			header.Set(p.name, strings.Map(printable, v))
		}
	}
	if m.broken && m.rng.IntN(4) == 0 {
		query.Add(m.word(), m.word())
	}
	var body []byte
	if o.body != nil {
		body = m.body(o.path, o.body)
		header.Set("Content-Type", "application/json")
		if m.broken && m.rng.IntN(10) == 0 {
			header.Set("Content-Type", m.pick("text/plain", "multipart/form-data", "application/yaml", "x", "application/json; charset=latin1"))
		}
	}
	address := f.base + path
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, o.method, address, bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	req.Header = header
	if m.rng.IntN(50) > 0 {
		req.Header.Set("Authorization", "Bearer "+f.token)
	}
	return req, body, nil
}

// printable keeps what the HTTP client lets into a header.
func printable(r rune) rune {
	if r < ' ' || r == 0x7f {
		return -1
	}
	return r
}

// plant saves a workflow that runs, and runs it, so that there is always
// something to find: others fall to the fuzzer's own deletes.
func (f *Fuzzer) plant(ctx context.Context) error {
	const definition = `{"name":"Planted","nodes":[{"id":"a","kind":"manual-trigger"},{"id":"b","kind":"log","config":{"message":"hello"}}],"connections":[{"source":"a","target":"b"}]}`
	id, err := f.post(ctx, "/api/v1/workflows", definition)
	if err == nil {
		_, err = f.post(ctx, "/api/v1/executions", `{"workflow_id":"`+id+`"}`)
	}
	return err
}

func (f *Fuzzer) post(ctx context.Context, path, body string) (id string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, f.base+path, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+f.token)
	resp, err := f.client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return "", err
	}
	var made struct{ ID string }
	if err := json.Unmarshal(text, &made); err != nil || resp.StatusCode >= http.StatusMultipleChoices {
		return "", fmt.Errorf("POST %s: status %d: %.300s", path, resp.StatusCode, text)
	}
	f.learn(path, text)
	return made.ID, nil
}

// learn keeps the ids of an answer, for later requests to find something.
func (f *Fuzzer) learn(path string, text []byte) {
	var v any
	if json.Unmarshal(text, &v) != nil {
		return
	}
	f.collect(noun(path), v)
}

func (f *Fuzzer) collect(noun string, v any) {
	switch x := v.(type) {
	case map[string]any:
		if id, ok := x["id"].(string); ok && len(id) == 36 {
			ids := f.ids[noun]
			if len(ids) < maxIDs {
				f.ids[noun] = append(ids, id)
			} else {
				ids[f.maker.rng.IntN(maxIDs)] = id
			}
		}
		for _, inner := range []string{"items", "nodes", "user"} {
			if x[inner] != nil {
				f.collect(noun, x[inner])
			}
		}
	case []any:
		for _, inner := range x {
			f.collect(noun, inner)
		}
	}
}

// noun is the first step of a path: what its ids belong to.
func noun(path string) string {
	step, _, _ := strings.Cut(strings.TrimPrefix(path, "/api/v1/"), "/")
	return step
}

// known returns an id that was seen for the noun, or "".
func (f *Fuzzer) known(noun string) string {
	if ids := f.ids[noun]; len(ids) > 0 {
		return ids[f.maker.rng.IntN(len(ids))]
	}
	return ""
}

// failed reports whether an answer is the studio's failure. That something has
// not been set up by the operator is none.
func failed(status int, answer []byte) bool {
	if status == http.StatusNotImplemented {
		return !bytes.Contains(answer, []byte("problems#not_configured"))
	}
	return status >= http.StatusInternalServerError
}
