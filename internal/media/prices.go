package media

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"time"
)

//go:embed prices.json
var embeddedPrices []byte

// Price is what a model costs, in dollars. A nil price is not known; a model
// has those of the units that its provider counts in.
type Price struct {
	Input      *float64 `json:"input"`      // a million tokens
	Output     *float64 `json:"output"`     // a million tokens
	Image      *float64 `json:"image"`      // one
	Characters *float64 `json:"characters"` // a million
	Minute     *float64 `json:"minute"`     // of a recording
}

// Prices is a price list by "provider/model". The nil list knows no price.
type Prices struct{ models map[string]Price }

// DefaultPrices returns the list that comes with the studio, with the entries
// of each override laid over it. An override is JSON like prices.json; it may
// be the same file that overrides the prices of language models.
func DefaultPrices(overrides ...[]byte) (*Prices, error) {
	p := &Prices{models: map[string]Price{}}
	for i, text := range append([][]byte{embeddedPrices}, overrides...) {
		var f struct {
			Models map[string]Price `json:"models"`
		}
		if err := json.Unmarshal(text, &f); err != nil {
			return nil, fmt.Errorf("read price list %d of media: %w", i, err)
		}
		maps.Copy(p.models, f.Models)
	}
	return p, nil
}

// Cost returns what a call costs in micro-dollars, rounded to the nearest; nil
// when that is not known.
func (p *Prices) Cost(model string, u Units) *int64 {
	if p == nil || u.Uncounted {
		return nil
	}
	price, ok := p.models[model]
	if !ok {
		return nil
	}
	const million = 1e6
	var sum float64
	switch {
	case price.Image != nil:
		sum = float64(u.Images) * *price.Image * million
	case price.Characters != nil:
		sum = float64(u.Characters) * *price.Characters
	case price.Minute != nil:
		sum = u.Heard.Minutes() * *price.Minute * million
	case price.Input != nil && price.Output != nil && u.Input+u.Output > 0:
		sum = float64(u.Input)**price.Input + float64(u.Output)**price.Output
	default:
		return nil
	}
	micros := int64(math.Round(sum))
	return &micros
}

// What a call may come to at most, before it is made: for the budgets.
const (
	pictureTokens = 6_300 // a large picture of the best quality
	minuteTokens  = 1_200 // of a recording, with its words
	slowestBytes  = 4_000 // of a second of a recording
)

// most is what the request may come to.
func most(r Request) Units {
	switch r.Kind {
	case Image:
		return Units{Images: r.N, Input: int64(len(r.Prompt)/3 + 1), Output: int64(r.N) * pictureTokens}
	case Speech:
		n := len([]rune(r.Text))
		return Units{Characters: n, Input: int64(n), Output: int64(n) * 2}
	case Transcription:
		heard := time.Duration(len(r.Audio)/slowestBytes+1) * time.Second
		return Units{Heard: heard, Input: int64(math.Ceil(heard.Minutes())) * minuteTokens, Output: int64(math.Ceil(heard.Minutes())) * minuteTokens}
	}
	return Units{}
}
