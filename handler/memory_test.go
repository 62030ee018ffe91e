package main

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestTheHeapMayGrowByWhatItHas(t *testing.T) {
	const mib = 1 << 20
	assert.Equal(t, maxGCPercent, gcPercent(0, 0))
	assert.Equal(t, maxGCPercent, gcPercent(2*mib, 3*mib), "small")
	assert.Equal(t, 100*(heapGoal/mib-6)/8, gcPercent(6*mib, 8*mib), "up to the goal")
	assert.Equal(t, minGCPercent, gcPercent(17*mib, 20*mib), "near the goal")
	assert.Equal(t, minGCPercent, gcPercent(500*mib, 520*mib), "far above")
}

func TestWorkIsDoneAfterEachCollection(t *testing.T) {
	var done atomic.Int64
	afterEachCollection(func() { done.Add(1) })
	for n := range int64(3) {
		assert.Eventually(t, func() bool { runtime.GC(); return done.Load() > n }, time.Minute, time.Millisecond)
	}
}
