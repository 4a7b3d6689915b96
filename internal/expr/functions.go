package expr

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"agentstudio/internal/fault"

	"github.com/expr-lang/expr"
)

// functionNames are our functions; expr-lang's own are known to its compiler.
var functionNames = map[string]bool{"json": true, "default": true, "date": true, "base64": true, "truncate": true, "__tick": true}

func functions() []expr.Option {
	return []expr.Option{
		expr.DisableBuiltin("date"),
		expr.Function("json", toJSON),
		expr.Function("default", orDefault),
		expr.Function("date", formatDate),
		expr.Function("base64", toBase64),
		expr.Function("truncate", truncate),
		expr.Function("__tick", tick),
	}
}

func toJSON(params ...any) (any, error) {
	if err := arity("json", params, 1, 1); err != nil {
		return nil, err
	}
	text, err := json.Marshal(params[0])
	return string(text), err
}

func orDefault(params ...any) (any, error) {
	if err := arity("default", params, 2, 2); err != nil {
		return nil, err
	}
	if params[0] == nil || params[0] == "" {
		return params[1], nil
	}
	return params[0], nil
}

func toBase64(params ...any) (any, error) {
	if err := arity("base64", params, 1, 1); err != nil {
		return nil, err
	}
	return base64.StdEncoding.EncodeToString([]byte(Text(params[0]))), nil
}

func truncate(params ...any) (any, error) {
	if err := arity("truncate", params, 2, 2); err != nil {
		return nil, err
	}
	n, ok := number(params[1])
	if !ok || n < 0 {
		return nil, fmt.Errorf("truncate wants a number of characters that is not negative")
	}
	runes := []rune(Text(params[0]))
	if len(runes) <= int(n) {
		return string(runes), nil
	}
	return string(runes[:int(n)]) + "…", nil
}

// dateTokens are the letters people write for the parts of a date, longest first.
var dateTokens = strings.NewReplacer("YYYY", "2006", "YY", "06", "MMMM", "January", "MMM", "Jan", "MM", "01",
	"DD", "02", "dddd", "Monday", "ddd", "Mon", "HH", "15", "hh", "03", "mm", "04", "ss", "05", "A", "PM", "Z", "Z07:00")

func formatDate(params ...any) (any, error) {
	if err := arity("date", params, 1, 2); err != nil {
		return nil, err
	}
	at, err := moment(params[0])
	if err != nil {
		return nil, err
	}
	layout := time.RFC3339
	if len(params) == 2 {
		layout = Text(params[1])
		if !strings.Contains(layout, "2006") && !strings.Contains(layout, "15:04") {
			layout = dateTokens.Replace(layout)
		}
	}
	return at.Format(layout), nil
}

func moment(v any) (time.Time, error) {
	switch x := v.(type) {
	case time.Time:
		return x, nil
	case string:
		for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05", time.DateOnly} {
			if at, err := time.Parse(layout, x); err == nil {
				return at.UTC(), nil
			}
		}
		return time.Time{}, fmt.Errorf("%q is not a date like 2006-01-02 or 2006-01-02T15:04:05Z", clip(x, 40))
	}
	if n, ok := number(v); ok {
		return time.UnixMilli(int64(n)).UTC(), nil
	}
	return time.Time{}, fmt.Errorf("a %T is not a date", v)
}

func number(v any) (float64, bool) {
	switch x := v.(type) {
	case int:
		return float64(x), true
	case int64:
		return float64(x), true
	case float64:
		return x, true
	}
	return 0, false
}

func arity(name string, params []any, low, high int) error {
	if len(params) < low || len(params) > high {
		return fault.New(fault.Invalid, "%s takes %d to %d values, not %d", name, low, high, len(params))
	}
	return nil
}
