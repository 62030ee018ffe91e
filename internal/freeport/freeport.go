// Package freeport finds a port on loopback for a program that has to be told
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
func Find() (port int, err error) {
	for range tries {
		port = first + rand.IntN(last-first+1)
		var l net.Listener
		if l, err = net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err == nil {
			return port, l.Close()
		}
	}
	return 0, err
}
