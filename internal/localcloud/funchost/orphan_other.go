//go:build !linux

package funchost

import "os/exec"

// dieWithParent does nothing: only Linux can tie a child to its parent. A host
// that is killed here leaves its handler behind.
func dieWithParent(*exec.Cmd) {}
