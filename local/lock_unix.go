//go:build unix

package main

import (
	"errors"
	"os"
	"syscall"
)

// lock opens a file, made when it is missing, and holds it until it is closed or
// the process ends. The error is errLocked when another process holds it. No link is
// followed: what is left in a temporary folder may be anybody's.
func lock(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = errLocked
		}
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}
