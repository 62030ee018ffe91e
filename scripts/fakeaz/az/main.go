// Command az is the fake that tests put first on PATH.
package main

import (
	"fmt"
	"os"

	"acsauth/scripts/fakeaz"
)

func main() {
	file := os.Getenv(fakeaz.StateFile)
	d, err := fakeaz.Load(file)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	code := d.Do(os.Args[1:], os.Stdout, os.Stderr)
	if err := d.Save(file); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 2
	}
	os.Exit(code)
}
