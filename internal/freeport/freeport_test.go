package freeport

import (
	"fmt"
	"net"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAPortIsFreeAndNoneOfTheSystems(t *testing.T) {
	for range 100 {
		port, err := Find()
		require.NoError(t, err)
		assert.GreaterOrEqual(t, port, first)
		assert.LessOrEqual(t, port, last)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		require.NoError(t, err)
		defer l.Close()
	}
}
