//go:build !no_ui

package web

import "embed"

// all: the folder holds a hidden file, so that a clone without a build compiles.
//
//go:embed all:dist
var dist embed.FS
