package faulttest

import "syscall"

// endWithParent has the kernel end the child when the test binary dies without
// cleaning up.
func endWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
