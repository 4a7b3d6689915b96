package media

import (
	"bytes"
	"image"
	"image/jpeg"
	"image/png"
	"strconv"
	"strings"

	_ "golang.org/x/image/webp" // so that their sizes can be read
)

// shape reads "16:9".
func shape(ratio string) (across, down int) {
	a, d, _ := strings.Cut(ratio, ":")
	across, errA := strconv.Atoi(a)
	down, errD := strconv.Atoi(d)
	if errA != nil || errD != nil || across <= 0 || down <= 0 {
		return 1, 1
	}
	return across, down
}

// maxPixels bounds a picture that is turned into another format.
const maxPixels = 64 << 20

// picture is a piece in the format that was asked for, where it can be turned
// into it; else in its own.
func picture(content []byte, format string) Piece {
	size, own, err := image.DecodeConfig(bytes.NewReader(content))
	if err != nil {
		return Piece{Content: content, Format: format}
	}
	p := Piece{Content: content, Format: own, Width: size.Width, Height: size.Height}
	if own == format || format != "png" && format != "jpeg" || size.Width*size.Height > maxPixels {
		return p
	}
	decoded, _, err := image.Decode(bytes.NewReader(content))
	if err != nil {
		return p
	}
	var out bytes.Buffer
	if format == "png" {
		err = png.Encode(&out, decoded)
	} else {
		err = jpeg.Encode(&out, decoded, &jpeg.Options{Quality: 90})
	}
	if err == nil {
		p.Content, p.Format = out.Bytes(), format
	}
	return p
}
