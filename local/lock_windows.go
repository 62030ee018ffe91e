package main

import (
	"errors"
	"os"
	"syscall"
)

// sharingViolation is the error for a file that another process has to itself.
const sharingViolation = syscall.Errno(32)

// lock opens a file, made when it is missing, and holds it until it is closed or
// the process ends. The error is errLocked when another process holds it.
func lock(path string) (*os.File, error) {
	name, err := syscall.UTF16PtrFromString(path)
	if err != nil {
		return nil, err
	}
	const sharedWithNobody = 0
	handle, err := syscall.CreateFile(name, syscall.GENERIC_READ|syscall.GENERIC_WRITE, sharedWithNobody, nil,
		syscall.OPEN_ALWAYS, syscall.FILE_ATTRIBUTE_NORMAL, 0)
	if errors.Is(err, sharingViolation) {
		return nil, errLocked
	}
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(handle), path), nil
}
