package main

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// executable is what host.json gives as defaultExecutablePath.
const executable = "bin/handler"

// packed is the time of every entry: the first one that a zip can hold.
var packed = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)

// pack writes the app folder at root to the zip file out, which is replaced only
// once it is complete, and returns its size.
func pack(root, out string) (int, error) {
	var b bytes.Buffer
	if err := writeZip(&b, os.DirFS(root)); err != nil {
		return 0, err
	}
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return 0, err
	}
	unfinished := out + ".new"
	if err := os.WriteFile(unfinished, b.Bytes(), 0o644); err != nil {
		return 0, err
	}
	return b.Len(), os.Rename(unfinished, out)
}

func writeZip(b *bytes.Buffer, app fs.FS) error {
	names, err := contents(app)
	if err != nil {
		return err
	}
	w := zip.NewWriter(b)
	for _, name := range names {
		content, err := fs.ReadFile(app, name)
		if err != nil {
			return err
		}
		h := &zip.FileHeader{Name: name, Method: zip.Deflate, Modified: packed}
		h.SetMode(0o644)
		if name == executable {
			h.SetMode(0o755) // also on Windows, where files have no such bit
		}
		entry, err := w.CreateHeader(h)
		if err != nil {
			return err
		}
		if _, err := entry.Write(content); err != nil {
			return err
		}
	}
	return w.Close()
}

// contents lists what an app consists of, sorted.
func contents(app fs.FS) ([]string, error) {
	functions, err := fs.Glob(app, "*/function.json")
	if err != nil {
		return nil, err
	}
	if len(functions) == 0 {
		return nil, errors.New("there is no folder with a function.json")
	}
	names := append([]string{executable, "host.json"}, functions...)
	for _, name := range names {
		if _, err := fs.Stat(app, name); err != nil {
			return nil, fmt.Errorf("the app is not complete: %w", err)
		}
	}
	return names, nil
}
