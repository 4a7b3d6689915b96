package memory

import (
	"cmp"
	"context"
	"maps"
	"math"
	"slices"
	"strings"
	"unicode"
)

// Bounds of an index and a question.
const (
	maxTerms    = 2_000
	maxAsked    = 64
	stemLetters = 5
	stemWeight  = 0.4
	// stemMark begins the terms that are beginnings of words: no word has it.
	stemMark = "~"
)

// terms cuts a text into its words, in lower case, and counts them. A word of
// more than five letters also stands for its beginning, so that "invoices"
// finds "invoice" in any language that puts its endings last. Scripts that put
// no spaces between words are cut into pairs of letters.
func terms(text string) map[string]int {
	out := map[string]int{}
	add := func(term string) {
		if _, known := out[term]; known || len(out) < maxTerms {
			out[term]++
		}
	}
	for word := range strings.FieldsFuncSeq(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) }) {
		letters := []rune(word)
		if len(letters) > 40 {
			letters = letters[:40]
		}
		if dense(letters[0]) {
			for i := range max(1, len(letters)-1) {
				add(string(letters[i:min(i+2, len(letters))]))
			}
			continue
		}
		add(string(letters))
		if len(letters) >= stemLetters {
			add(stemMark + string(letters[:stemLetters]))
		}
	}
	return out
}

func dense(r rune) bool {
	return unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai)
}

// Search returns the notes whose words fit the query best, at most limit: the
// agent's own and the shared ones. An empty query finds the latest.
func (s *Service) Search(ctx context.Context, at Scope, query string, limit int) ([]Found, error) {
	limit = min(max(limit, 1), MaxFound)
	asked := slices.Sorted(maps.Keys(terms(query)))
	if len(asked) == 0 {
		latest, _, err := s.store.Latest(ctx, at, limit, 0)
		out := make([]Found, len(latest))
		for i, m := range latest {
			out[i] = Found{Memory: m}
		}
		return out, err
	}
	if len(asked) > maxAsked {
		asked = asked[:maxAsked]
	}
	matches, totals, err := s.store.Matches(ctx, at, asked)
	if err != nil {
		return nil, err
	}
	scores := rank(matches, totals)
	ids := slices.SortedFunc(maps.Keys(scores), func(a, b string) int {
		return cmp.Or(cmp.Compare(scores[b], scores[a]), cmp.Compare(a, b))
	})
	ids = ids[:min(limit, len(ids))]
	found, err := s.store.ByID(ctx, at, ids)
	if err != nil {
		return nil, err
	}
	out := []Found{}
	for _, id := range ids {
		for _, m := range found {
			if m.ID == id {
				out = append(out, Found{Memory: m, Score: scores[id]})
			}
		}
	}
	return out, nil
}

// rank scores each memory by how rare the words are that it shares with the
// query, how often it has them, and how short it is (Okapi BM25).
func rank(matches []Match, totals Totals) map[string]float64 {
	const k, b = 1.2, 0.75
	in := map[string]int{}
	for _, m := range matches {
		in[m.Term]++
	}
	mean := float64(totals.Words) / float64(max(totals.Memories, 1))
	scores := map[string]float64{}
	for _, m := range matches {
		rare := math.Log(1 + (float64(totals.Memories)-float64(in[m.Term])+0.5)/(float64(in[m.Term])+0.5))
		times := float64(m.Times)
		weight := 1.0
		if strings.HasPrefix(m.Term, stemMark) {
			weight = stemWeight
		}
		scores[m.MemoryID] += weight * rare * times * (k + 1) / (times + k*(1-b+b*float64(m.Words)/max(mean, 1)))
	}
	return scores
}
