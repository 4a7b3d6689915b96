package media

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"image"
	"image/png"
	"math"
	"strings"
	"time"

	"golang.org/x/image/font"
	"golang.org/x/image/font/basicfont"
	"golang.org/x/image/math/fixed"
)

// Demo makes pictures and sounds without a network, so that everything around
// them can be tried. They say that they are a demo.
type Demo struct{}

var _ Provider = Demo{}

// Name implements Provider.
func (Demo) Name() string { return "demo" }

// Configured implements Provider.
func (Demo) Configured() bool { return true }

// Address implements Provider.
func (Demo) Address() string { return "" }

// Models implements Provider.
func (Demo) Models() []Model {
	return []Model{{Name: "image", Kind: Image, Most: MaxImages, Formats: []string{"png", "jpeg"}, Demo: true},
		{Name: "speech", Kind: Speech, Formats: []string{"wav"}, Demo: true}, {Name: "transcription", Kind: Transcription, Demo: true}}
}

// Make implements Provider.
func (Demo) Make(ctx context.Context, r Request) (*Answer, error) {
	if ctx.Err() != nil {
		return nil, broken(ctx, "demo", ctx.Err())
	}
	switch r.Kind {
	case Speech:
		n := len([]rune(r.Text))
		return &Answer{Pieces: [][]byte{tone(n)}, Units: Units{Characters: n}}, nil
	case Transcription:
		heard := wavLength(r.Audio)
		return &Answer{Text: fmt.Sprintf("[demo] %s, %s long, %d bytes. Nobody has listened to it: set up a provider of speech.", r.AudioName, heard.Round(100*time.Millisecond), len(r.Audio)), Units: Units{Heard: heard}}, nil
	case Image:
	}
	out := &Answer{Units: Units{Images: r.N}}
	for i := range r.N {
		drawn, err := draft(r, i)
		if ctx.Err() != nil {
			return nil, broken(ctx, "demo", ctx.Err())
		}
		if err != nil {
			return nil, err
		}
		out.Pieces = append(out.Pieces, drawn)
	}
	return out, nil
}

// draft is a picture that shows its own description, in colours of its own.
func draft(r Request, number int) ([]byte, error) {
	const longest = 384
	across, down := shape(r.AspectRatio)
	width, height := longest, longest
	if across > down {
		height = longest * down / across
	} else {
		width = longest * across / down
	}
	sum := fnv.New32a()
	_, _ = fmt.Fprint(sum, r.Prompt, number) // a hash takes everything
	tint := sum.Sum32()
	paper := image.NewRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		row := paper.Pix[y*paper.Stride : (y+1)*paper.Stride]
		for x := range width {
			row[4*x], row[4*x+1], row[4*x+2], row[4*x+3] = mix(tint, x, width), mix(tint>>8, y, height), mix(tint>>16, x+y, width+height), 255
		}
	}
	const margin, line = 16, 15
	pen := font.Drawer{Dst: paper, Src: image.White, Face: basicfont.Face7x13}
	wide := (width - 2*margin) / basicfont.Face7x13.Advance
	for i, words := range append([]string{"DEMO " + r.AspectRatio, ""}, wrap(r.Prompt, wide)...) {
		if y := margin + (i+1)*line; y < height-margin {
			pen.Dot = fixed.P(margin, y)
			pen.DrawString(words)
		}
	}
	var out bytes.Buffer
	err := (&png.Encoder{CompressionLevel: png.BestSpeed}).Encode(&out, paper)
	return out.Bytes(), err
}

// mix is a dark shade that changes along a side.
func mix(tint uint32, at, of int) uint8 {
	return uint8(int(tint&0x5f) + 64*at/of) //nolint:gosec // below 160
}

// wrap cuts a text into lines of at most so many characters.
func wrap(text string, wide int) (lines []string) {
	line := ""
	for _, word := range strings.Fields(text) {
		for len(word) > wide {
			word = word[:wide]
		}
		if line != "" && len(line)+1+len(word) > wide {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}

// sampleRate of a tone, in a second.
const sampleRate = 16_000

// tone is a sound as long as a text of so many characters takes, at most ten
// seconds: WAV, 16 bits, one channel.
func tone(characters int) []byte {
	const perCharacter, longest, pitch, loudness = sampleRate / 16, 10 * sampleRate, 440, 6_000
	n := min(max(characters*perCharacter, sampleRate/2), longest)
	size := uint32(n * 2) //nolint:gosec // at most 320,000
	out := bytes.NewBuffer(make([]byte, 0, 44+n*2))
	out.WriteString("RIFF")
	le := binary.LittleEndian
	out.Write(le.AppendUint32(nil, 36+size))
	out.WriteString("WAVEfmt ")
	for _, v := range []uint32{16, 1 | 1<<16, sampleRate, sampleRate * 2, 2 | 16<<16} { // PCM, one channel; two bytes, 16 bits
		out.Write(le.AppendUint32(nil, v))
	}
	out.WriteString("data")
	out.Write(le.AppendUint32(nil, size))
	for i := range n {
		fade := min(1, float64(min(i, n-i))/(sampleRate/20))
		v := int16(loudness * fade * math.Sin(2*math.Pi*pitch*float64(i)/sampleRate))
		out.Write(le.AppendUint16(nil, uint16(v))) //nolint:gosec // the same bits
	}
	return out.Bytes()
}

// wavLength is how long a WAV is; 0 for anything else.
func wavLength(content []byte) time.Duration {
	const header = 44
	if len(content) < header || string(content[:4]) != "RIFF" || string(content[8:12]) != "WAVE" {
		return 0
	}
	perSecond := binary.LittleEndian.Uint32(content[28:32])
	if perSecond == 0 {
		return 0
	}
	return seconds(float64(len(content)-header) / float64(perSecond))
}
