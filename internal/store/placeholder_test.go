package store

import "testing"

func TestParametersInOrderBecomePositional(t *testing.T) {
	for text, want := range map[string]string{
		"SELECT 1":                        "SELECT 1",
		"a = $1 AND b = $2":               "a = ? AND b = ?",
		"a = $2 AND b = $1":               "a = $2 AND b = $1",
		"a = $1 OR b = $1":                "a = $1 OR b = $1",
		"VALUES ($1,$2),($3,$4) LIMIT $5": "VALUES (?,?),(?,?) LIMIT ?",
	} {
		if got := positional(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}

func TestBoundsOfListsAreHiddenFromThePlanner(t *testing.T) {
	for text, want := range map[string]string{
		"SELECT 1 LIMIT 100":                "SELECT 1 LIMIT 100",
		"SELECT 1 LIMIT $1":                 "SELECT 1 LIMIT $1 + 0",
		"SELECT 1 LIMIT $2 OFFSET $3":       "SELECT 1 LIMIT $2 + 0 OFFSET $3",
		"(SELECT 1 LIMIT $12) UNION b":      "(SELECT 1 LIMIT $12 + 0) UNION b",
		"SELECT limits FROM x WHERE a = $1": "SELECT limits FROM x WHERE a = $1",
	} {
		if got := unfolded(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}
