package entra

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"
)

// fetch is one request under way; err is set before done is closed.
type fetch struct {
	done chan struct{}
	err  error
}

// begin returns the fetch under way, or starts one unless that is too early by
// gate: then nil.
func (k *keySet) begin(gate *time.Time) *fetch {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.underway != nil {
		return k.underway
	}
	now := k.now()
	if now.Before(*gate) {
		return nil
	}
	f := &fetch{done: make(chan struct{})}
	k.underway = f
	go k.run(f, gate)
	return f
}

func (f *fetch) wait(ctx context.Context) error {
	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// run fetches once and says when the next fetch of its kind may begin.
func (k *keySet) run(f *fetch, gate *time.Time) {
	ctx, cancel := context.WithTimeout(context.Background(), fetchTimeout)
	defer cancel()
	byID, err := k.get(ctx)

	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.now()
	if err == nil {
		k.current.Store(&keys{byID, now})
		k.coldPause = 0
	} else {
		k.log.LogAttrs(ctx, slog.LevelWarn, "signing keys could not be fetched", slog.Any("error", err))
		k.coldPause = min(max(2*k.coldPause, firstColdPause), maxColdPause)
	}
	switch {
	case gate == &k.nextCold:
		*gate = now.Add(k.coldPause)
	case err != nil:
		*gate = now.Add(failedPause)
	case gate == &k.nextUnknown:
		*gate = now.Add(unknownPause)
	}
	f.err = err
	k.underway = nil
	close(f.done)
}

// get asks the endpoint. Any answer that holds no usable key is an error.
func (k *keySet) get(ctx context.Context) (map[string][]key, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, k.url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	resp, err := k.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, &StatusError{"the keys endpoint", resp.StatusCode}
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxKeysSize+1))
	if err != nil {
		return nil, err
	}
	if len(body) > maxKeysSize {
		return nil, errors.New("the keys endpoint's answer is too long")
	}
	return k.parse(body)
}
