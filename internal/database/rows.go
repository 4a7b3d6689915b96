package database

import (
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"time"
	"unicode/utf8"
)

// read takes rows until there are enough.
func read(rows *sql.Rows, most int) (*Answer, error) {
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	out := &Answer{Columns: distinct(columns), Rows: []map[string]any{}}
	bytes := 0
	for rows.Next() {
		if len(out.Rows) == most {
			out.Truncated = true
			return out, nil
		}
		values := make([]any, len(columns))
		into := make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		row := make(map[string]any, len(columns))
		for i, v := range values {
			row[out.Columns[i]] = plain(v)
		}
		text, err := json.Marshal(row)
		if err != nil {
			return nil, err
		}
		if bytes += len(text); bytes > maxBytes {
			out.Truncated = true
			return out, nil
		}
		out.Rows = append(out.Rows, row)
	}
	return out, rows.Err()
}

// distinct names columns that share a name apart.
func distinct(columns []string) []string {
	seen := map[string]int{}
	out := make([]string, len(columns))
	for i, c := range columns {
		if seen[c]++; seen[c] > 1 {
			c = fmt.Sprintf("%s_%d", c, seen[c])
		}
		out[i] = c
	}
	return out
}

// plain returns a value that JSON can hold. Bytes that are no text are Base64.
func plain(v any) any {
	switch x := v.(type) {
	case []byte:
		if utf8.Valid(x) {
			return string(x)
		}
		return base64.StdEncoding.EncodeToString(x)
	case string:
		if !utf8.ValidString(x) {
			return base64.StdEncoding.EncodeToString([]byte(x))
		}
		return x
	case float64:
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return fmt.Sprint(x)
		}
		return x
	case time.Time:
		return x.Format(time.RFC3339Nano)
	}
	return v
}
