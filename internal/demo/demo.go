// Package demo is a small library of pages of our own, so that a workflow which
// searches and reads can be tried without a key and without the internet.
// Whatever comes from it is labelled as demo.
package demo

import (
	"cmp"
	"embed"
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode"

	"agentstudio/internal/fault"
)

//go:embed library/*.md
var files embed.FS

// Scheme begins the address of every page: "demo://library/tides".
const Scheme = "demo://library/"

// Page is one page of the library.
type Page struct {
	Title, URL, Description, Content string
}

// Library is the pages in memory. It is immutable.
type Library struct {
	pages []Page
}

// New reads the library. It panics when a page is not readable: they are part
// of the program.
func New() *Library {
	names, err := files.ReadDir("library")
	if err != nil {
		panic(err)
	}
	l := &Library{}
	for _, n := range names {
		text, err := files.ReadFile(path.Join("library", n.Name()))
		if err != nil {
			panic(err)
		}
		title, content, ok := strings.Cut(strings.TrimPrefix(string(text), "# "), "\n\n")
		if !ok {
			panic(fmt.Sprintf("demo page %s has no title", n.Name()))
		}
		description, _, _ := strings.Cut(content, ". ")
		l.pages = append(l.pages, Page{Title: title, URL: Scheme + strings.TrimSuffix(n.Name(), ".md"), Description: description + ".", Content: strings.TrimSpace(content)})
	}
	return l
}

// Search returns the num pages that share most words with the query; there is
// always something, however little it fits.
func (l *Library) Search(query string, num int) []Page {
	wanted := words(query)
	score := func(p Page) int {
		n := 0
		for w := range words(p.Title + " " + p.URL) {
			if wanted[w] {
				n += 5
			}
		}
		for w := range words(p.Content) {
			if wanted[w] {
				n++
			}
		}
		return n
	}
	ranked := slices.Clone(l.pages)
	slices.SortStableFunc(ranked, func(a, b Page) int { return cmp.Compare(score(b), score(a)) })
	return ranked[:min(num, len(ranked))]
}

// Read returns the page at an address of the library; NotFound when there is
// none.
func (l *Library) Read(address string) (Page, error) {
	for _, p := range l.pages {
		if p.URL == address {
			return p, nil
		}
	}
	return Page{}, fault.New(fault.NotFound, "the demo library has no page %s", address)
}

// words returns the words of four letters and more, in their singular where
// an s is all that makes the plural.
func words(text string) map[string]bool {
	out := map[string]bool{}
	for _, w := range strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		if w = strings.TrimSuffix(w, "s"); len(w) > 2 {
			out[w] = true
		}
	}
	return out
}
