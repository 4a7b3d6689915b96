package llm

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
)

//go:embed prices.json
var embeddedPrices []byte

// Price is what a model costs, in dollars per million tokens, which is the
// same number as micro-dollars per token. A nil price is not known.
type Price struct {
	Input      *float64 `json:"input"`
	Output     *float64 `json:"output"`
	CacheRead  *float64 `json:"cache_read"`
	CacheWrite *float64 `json:"cache_write"`
	// Over replaces the price for prompts longer than its Tokens, cache included.
	Over *struct {
		Tokens int64 `json:"tokens"`
		Price
	} `json:"over,omitempty"`
}

// Prices is a price list by "provider/model". The nil list knows no price.
type Prices struct {
	read   string
	models map[string]Price
}

type priceFile struct {
	Read   string           `json:"read"`
	Models map[string]Price `json:"models"`
}

// DefaultPrices returns the list that comes with the studio, with the entries
// of each override laid over it. An override is JSON like prices.json:
// {"read": "2026-01-31", "models": {"provider/model": {"input": 3, "output": 15,
// "cache_read": 0.3, "cache_write": 3.75}}}; a model whose value is {} becomes
// unknown again.
func DefaultPrices(overrides ...[]byte) (*Prices, error) {
	p := &Prices{models: map[string]Price{}}
	for i, text := range append([][]byte{embeddedPrices}, overrides...) {
		var f priceFile
		if err := json.Unmarshal(text, &f); err != nil {
			return nil, fmt.Errorf("read price list %d: %w", i, err)
		}
		if f.Read != "" {
			p.read = f.Read
		}
		maps.Copy(p.models, f.Models)
	}
	return p, nil
}

// Read returns the date the prices were read from the providers' pages.
func (p *Prices) Read() string {
	if p == nil {
		return ""
	}
	return p.read
}

// Models returns the models with a price, sorted.
func (p *Prices) Models() []string {
	if p == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(p.models))
}

// dated is what providers put behind a model's name for one fixed build of it.
var dated = regexp.MustCompile(`-(\d{8}|\d{4}-\d{2}-\d{2}|latest)$`)

// Find returns the price of "provider/model"; a name with a date behind it
// costs what the name without it does. Nothing else is guessed.
func (p *Prices) Find(model string) (Price, bool) {
	if p == nil {
		return Price{}, false
	}
	if price, ok := p.models[model]; ok {
		return price, true
	}
	price, ok := p.models[dated.ReplaceAllString(model, "")]
	return price, ok
}

// Cost returns what the tokens cost in micro-dollars, rounded to the nearest;
// nil when the price of any of them is not known.
func (p *Prices) Cost(model string, u Usage) *int64 {
	price, ok := p.Find(model)
	if !ok {
		return nil
	}
	if o := price.Over; o != nil && u.Input+u.CacheRead+u.CacheWrite > o.Tokens {
		price = o.Price
	}
	if price.Input == nil || price.Output == nil {
		return nil
	}
	var sum float64
	for _, part := range []struct {
		tokens int64
		price  *float64
	}{{u.Input, price.Input}, {u.Output, price.Output}, {u.CacheRead, price.CacheRead}, {u.CacheWrite, price.CacheWrite}} {
		if part.tokens == 0 {
			continue
		}
		if part.price == nil {
			return nil
		}
		sum += float64(part.tokens) * *part.price
	}
	micros := int64(math.Round(sum))
	return &micros
}
