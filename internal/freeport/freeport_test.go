package freeport

import (
	"fmt"
	"net"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPortsAreFreeAndNoneOfTheSystems(t *testing.T) {
	ports, err := FindAll(8)
	require.NoError(t, err)
	for _, port := range ports {
		assert.GreaterOrEqual(t, port, first)
		assert.LessOrEqual(t, port, last)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		require.NoError(t, err)
		defer l.Close()
	}
	slices.Sort(ports)
	assert.Len(t, slices.Compact(ports), 8)
	next, err := Find()
	require.NoError(t, err)
	assert.NotContains(t, ports, next)
}
