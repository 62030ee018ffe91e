// Package freeport finds ports on loopback for programs that have to be told
// which one to take. Start with Find.
package freeport

import (
	"math/rand/v2"
	"net"
	"strconv"
)

// The ports that are looked at. Until the program takes its port, nobody holds
// it, so it must not be one of those that the system gives to whoever asks for
// any: these begin at 32768 on Linux and at 49152 elsewhere.
const (
	first = 20_000
	last  = 32_767
	tries = 100
)

// Find returns a port that is free just now.
func Find() (int, error) {
	ports, err := FindAll(1)
	if err != nil {
		return 0, err
	}
	return ports[0], nil
}

// FindAll returns n different ports that are free just now.
func FindAll(n int) (ports []int, err error) {
	for failed := 0; failed < tries; {
		port := first + rand.IntN(last-first+1)
		l, taken := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if taken != nil {
			failed, err = failed+1, taken
			continue
		}
		defer l.Close()
		if ports = append(ports, port); len(ports) == n {
			return ports, nil
		}
	}
	return nil, err
}
