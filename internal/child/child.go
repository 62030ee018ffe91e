// Package child runs programs that end with this one. Start with Start.
//
// On Linux they end however this one does. Elsewhere nothing ties a child to its
// parent: a process that is killed leaves its children behind.
package child

import (
	"os/exec"
	"runtime"
)

// Start starts cmd. What its Wait returns is sent to exited.
func Start(cmd *exec.Cmd) (exited <-chan error, err error) {
	dieWithParent(cmd)
	started, ended := make(chan error, 1), make(chan error, 1)
	go func() {
		// Linux ties the child's life to the thread that started it, not to the
		// process: the thread is kept for as long as the child lives.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			ended <- cmd.Wait()
		}
	}()
	return ended, <-started
}
