package builtin

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"agentstudio/internal/fault"
	"agentstudio/internal/node"
	"agentstudio/internal/outbound"
)

// Requester makes guarded HTTP requests.
type Requester interface {
	Do(ctx context.Context, in outbound.Request) (*outbound.Response, error)
}

type httpRequestConfig struct {
	Method       string          `json:"method,omitempty" jsonschema:"title=Method,enum=GET,enum=POST,enum=PUT,enum=PATCH,enum=DELETE,enum=HEAD,enum=OPTIONS,default=GET"`
	URL          string          `json:"url" jsonschema:"required,title=URL,minLength=1" jsonschema_description:"An address that starts with http:// or https://."`
	Query        map[string]any  `json:"query,omitempty" jsonschema:"title=Query" jsonschema_description:"Parameters added to the URL; a list repeats its parameter." jsonschema_extras:"widget=key-value"`
	Headers      map[string]any  `json:"headers,omitempty" jsonschema:"title=Headers" jsonschema_extras:"widget=key-value"`
	Body         any             `json:"body,omitempty" jsonschema:"title=Body" jsonschema_description:"Any value for json, an object for form and multipart, text for raw."`
	BodyType     string          `json:"body_type,omitempty" jsonschema:"title=Body type,enum=json,enum=form,enum=multipart,enum=raw,default=json"`
	ExpectStatus []int           `json:"expect_status,omitempty" jsonschema:"title=Expected statuses" jsonschema_description:"Statuses that are a success; by default every 2xx."`
	Pagination   *httpPagination `json:"pagination,omitempty" jsonschema:"title=Pagination"`
}

type httpPagination struct {
	Next     node.Expression `json:"next" jsonschema:"required,title=Next page" jsonschema_description:"Expression over item, the page's {status, headers, body}, that gives the next page's URL, or null after the last."`
	Items    node.Expression `json:"items,omitempty" jsonschema:"title=Items" jsonschema_description:"Expression over item that gives the page's list; by default its body."`
	MaxPages int             `json:"max_pages,omitempty" jsonschema:"title=Pages at most,minimum=1,maximum=1000,default=10"`
}

func httpRequest(client Requester) node.Type {
	return node.Define(node.Spec{
		Kind: "http-request", Title: "HTTP request", Group: node.Action, Category: "network", Icon: "globe",
		Description: "Calls an HTTP API and answers its status, headers and body.",
		Effect:      true, Risk: node.RiskMedium, Timeout: time.Minute,
		Docs: `Sends one request. JSON answers arrive as values, text as text, anything else as ` + "`{base64, size, content_type}`" + `.

A status outside of ` + "`expect_status`" + ` (by default every 2xx) fails the node; 408, 409, 425, 429 and 5xx are tried again as the node's retry says, and a ` + "`Retry-After`" + ` is honoured. Every request but GET and HEAD carries an ` + "`Idempotency-Key`" + ` that stays the same when the node has to run again.

Addresses inside private networks are refused unless the operator allows them.

` + "```yaml" + `
config: {method: POST, url: "https://api.example.com/orders", body: {id: "{{ trigger.id }}"}}
` + "```",
	}, func(ctx context.Context, c node.Call, cfg httpRequestConfig) (node.Result, error) {
		if client == nil {
			return node.Result{}, fault.New(fault.NotConfigured, "this studio has no HTTP client")
		}
		req, err := cfg.request(c.Key)
		if err != nil {
			return node.Result{}, err
		}
		if cfg.Pagination == nil {
			page, err := cfg.fetch(ctx, client, req)
			return node.Output("", page), err
		}
		return cfg.pages(ctx, c, client, req)
	})
}

// request writes the config as a request.
func (cfg httpRequestConfig) request(key string) (outbound.Request, error) {
	req := outbound.Request{Method: orDefault(cfg.Method, http.MethodGet), URL: cfg.URL, Header: http.Header{}}
	for _, name := range slices.Sorted(maps.Keys(cfg.Headers)) {
		value := textOf(cfg.Headers[name])
		if strings.ContainsAny(name+value, "\r\n\x00") || name == "" {
			return req, fault.New(fault.Invalid, "the header %q holds a line break or has no name", name)
		}
		req.Header.Set(name, value)
	}
	if len(cfg.Query) > 0 {
		u, err := url.Parse(cfg.URL)
		if err != nil {
			return req, fault.New(fault.Invalid, "%q is not an address", cfg.URL)
		}
		values := u.Query()
		addValues(values, cfg.Query)
		u.RawQuery = values.Encode()
		req.URL = u.String()
	}
	if err := cfg.write(&req); err != nil {
		return req, err
	}
	if req.Method != http.MethodGet && req.Method != http.MethodHead && req.Header.Get("Idempotency-Key") == "" {
		req.Header.Set("Idempotency-Key", key)
	}
	return req, nil
}

func addValues(values url.Values, from map[string]any) {
	for _, name := range slices.Sorted(maps.Keys(from)) {
		if list, isList := from[name].([]any); isList {
			for _, v := range list {
				values.Add(name, textOf(v))
			}
			continue
		}
		if from[name] != nil {
			values.Set(name, textOf(from[name]))
		}
	}
}

// write encodes the body.
func (cfg httpRequestConfig) write(req *outbound.Request) error {
	if cfg.Body == nil {
		return nil
	}
	contentType := ""
	switch orDefault(cfg.BodyType, "json") {
	case "json":
		text, err := json.Marshal(cfg.Body)
		if err != nil {
			return err
		}
		req.Body, contentType = text, "application/json"
	case "raw":
		req.Body, contentType = []byte(textOf(cfg.Body)), "text/plain; charset=utf-8"
	default:
		fields, isObject := cfg.Body.(map[string]any)
		if !isObject {
			return fault.New(fault.Invalid, "a body of type %s must be an object, but it is %s", cfg.BodyType, describe(cfg.Body))
		}
		values := url.Values{}
		addValues(values, fields)
		if cfg.BodyType == "form" {
			req.Body, contentType = []byte(values.Encode()), "application/x-www-form-urlencoded"
			break
		}
		var err error
		if req.Body, contentType, err = multipartBody(values); err != nil {
			return err
		}
	}
	if req.Header.Get("Content-Type") == "" {
		req.Header.Set("Content-Type", contentType)
	}
	return nil
}

func multipartBody(values url.Values) (body []byte, contentType string, err error) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(values)) {
		for _, v := range values[name] {
			if err := w.WriteField(name, v); err != nil {
				return nil, "", err
			}
		}
	}
	if err := w.Close(); err != nil { // writes the closing boundary
		return nil, "", err
	}
	return b.Bytes(), w.FormDataContentType(), nil
}

// fetch sends one request and reads the answer as a value.
func (cfg httpRequestConfig) fetch(ctx context.Context, client Requester, req outbound.Request) (map[string]any, error) {
	answer, err := client.Do(ctx, req)
	if err != nil {
		return nil, err
	}
	if err := cfg.judge(req, answer); err != nil {
		return nil, err
	}
	headers := make(map[string]any, len(answer.Header))
	for name, values := range answer.Header {
		headers[strings.ToLower(name)] = strings.Join(values, ", ")
	}
	return map[string]any{"status": answer.Status, "headers": headers, "body": bodyValue(answer)}, nil
}

// judge fails on a status that is no success. What may pass by itself is
// Upstream or TooMany, everything else Invalid: it is not tried again.
func (cfg httpRequestConfig) judge(req outbound.Request, answer *outbound.Response) error {
	if len(cfg.ExpectStatus) > 0 && slices.Contains(cfg.ExpectStatus, answer.Status) || len(cfg.ExpectStatus) == 0 && answer.Status/100 == 2 {
		return nil
	}
	host := req.URL
	if u, err := url.Parse(req.URL); err == nil {
		host = u.Host
	}
	if err := outbound.Refusal(host, answer); err != nil {
		return err
	}
	return fault.New(fault.Invalid, "%s answered %d, which is none of the expected statuses %v", host, answer.Status, cfg.ExpectStatus).WithCode("http_" + strconv.Itoa(answer.Status))
}

func bodyValue(answer *outbound.Response) any {
	contentType := answer.Header.Get("Content-Type")
	if len(answer.Body) == 0 {
		return nil
	}
	if strings.Contains(contentType, "json") {
		var v any
		if json.Unmarshal(answer.Body, &v) == nil {
			return v
		}
	}
	if utf8.Valid(answer.Body) {
		return string(answer.Body)
	}
	return map[string]any{"base64": base64.StdEncoding.EncodeToString(answer.Body), "size": len(answer.Body), "content_type": contentType}
}

// pages follows the pages; the body of the output is all their items.
func (cfg httpRequestConfig) pages(ctx context.Context, c node.Call, client Requester, req outbound.Request) (node.Result, error) {
	limit := cfg.Pagination.MaxPages
	if limit == 0 {
		limit = 10
	}
	all := []any{}
	var page map[string]any
	for n := 1; ; n++ {
		var err error
		if page, err = cfg.fetch(ctx, client, req); err != nil {
			return node.Result{}, fmt.Errorf("page %d: %w", n, err)
		}
		names := map[string]any{"item": page, "index": n - 1}
		items := page["body"]
		if cfg.Pagination.Items != "" {
			if items, err = c.Eval(ctx, cfg.Pagination.Items, names); err != nil {
				return node.Result{}, err
			}
		}
		list, isList := items.([]any)
		if !isList {
			return node.Result{}, fault.New(fault.Invalid, "the items of page %d must be a list, but they are %s; say where they stand with pagination.items", n, describe(items))
		}
		all = append(all, list...)
		next, err := c.Eval(ctx, cfg.Pagination.Next, names)
		if err != nil {
			return node.Result{}, err
		}
		address, _ := next.(string)
		if address == "" || n >= limit {
			if address != "" {
				c.Log("warn", fmt.Sprintf("there are more pages than the %d allowed", limit), nil)
			}
			break
		}
		if req.URL, err = resolve(req.URL, address); err != nil {
			return node.Result{}, err
		}
	}
	page["body"] = all
	return node.Output("", page), nil
}

func resolve(base, next string) (string, error) {
	from, err := url.Parse(base)
	if err != nil {
		return "", fault.New(fault.Invalid, "%q is not an address", base)
	}
	to, err := from.Parse(next)
	if err != nil {
		return "", fault.New(fault.Invalid, "the next page %q is not an address", next)
	}
	return to.String(), nil
}
