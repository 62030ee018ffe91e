package main

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

const (
	// The heap of a handler that is not pressed is a few megabytes. Left to
	// itself, the collector would run after every few hundred requests; so the
	// heap may grow to heapGoal first.
	heapGoal = 18 << 20
	// A heap that is larger may grow by this much of it. A fixed limit would have
	// the collector run all the time once the live heap comes near.
	minGCPercent = 60
	maxGCPercent = 400
	// A burst can fill the heap many times over before the percentage follows; so
	// there is a limit too, which follows as well.
	memoryLimit = 64 << 20
)

// tuneMemory sets how far the heap grows before it is collected, by what the last
// collection left. GOGC and GOMEMLIMIT, where they are set, have the last word.
func tuneMemory(getenv func(string) string) {
	percent, limit := getenv("GOGC") == "", getenv("GOMEMLIMIT") == ""
	tune := func(live, scanned uint64) {
		if percent {
			debug.SetGCPercent(gcPercent(live, scanned))
		}
		if limit {
			debug.SetMemoryLimit(max(memoryLimit, 3*int64(scanned)))
		}
	}
	tune(0, 0)
	afterEachCollection(func() { tune(heapInUse()) })
}

// gcPercent lets the heap grow to heapGoal, within bounds. The runtime takes the
// percentage of what it has to look through: live heap, stacks and globals.
func gcPercent(live, scanned uint64) int {
	if scanned == 0 {
		return maxGCPercent
	}
	return int(min(max(100*(heapGoal-int64(live))/int64(scanned), minGCPercent), maxGCPercent))
}

func heapInUse() (live, scanned uint64) {
	samples := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/stack:bytes"}, {Name: "/gc/scan/globals:bytes"}}
	metrics.Read(samples)
	live = samples[0].Value.Uint64()
	return live, live + samples[1].Value.Uint64() + samples[2].Value.Uint64()
}

// afterEachCollection calls work after each garbage collection, for ever: each
// takes away an object whose cleanup makes the next one.
func afterEachCollection(work func()) {
	runtime.AddCleanup(new([64]byte), func(work func()) {
		work()
		afterEachCollection(work)
	}, work)
}
