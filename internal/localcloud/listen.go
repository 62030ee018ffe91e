package localcloud

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"syscall"
	"time"
)

// Kind is how a local cloud makes itself known, at /local/cloud.
const Kind = "acsauth local cloud"

// Listen takes a port of this machine, any free one for 0: on loopback, where
// nobody else can reach it. An error says who has it and names the flag that
// chooses another. name is what it is for.
func Listen(ctx context.Context, name string, port int, flag string) (net.Listener, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", port))
	switch {
	case err == nil:
		return l, nil
	case errors.Is(err, syscall.EADDRINUSE) || errors.Is(err, wsaAddrInUse):
		return nil, fmt.Errorf("port %d, for %s, is taken by %s: stop that, or choose another port with %s (0 is a free one)", port, name, holder(ctx, port), flag)
	default:
		return nil, fmt.Errorf("can't listen on port %d, for %s: %w: choose another port with %s (0 is a free one)", port, name, err, flag)
	}
}

// wsaAddrInUse is what Windows says.
const wsaAddrInUse = syscall.Errno(10048)

// holder describes who listens on a port of this machine.
func holder(ctx context.Context, port int) string {
	if pid, ok := otherCopy(ctx, port); ok {
		return fmt.Sprintf("another local cloud (process %d)", pid)
	}
	if pid, command := listener(port); pid != 0 {
		return fmt.Sprintf("process %d (%s)", pid, command)
	}
	return "another program"
}

// otherCopy asks who listens whether it is a local cloud.
func otherCopy(ctx context.Context, port int) (pid int, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://localhost:%d/local/cloud", port), nil)
	if err != nil {
		return 0, false
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return 0, false
	}
	defer func() { _ = resp.Body.Close() }()
	var told struct {
		Kind      string
		ProcessID int
	}
	err = json.NewDecoder(io.LimitReader(resp.Body, 64<<10)).Decode(&told)
	return told.ProcessID, err == nil && told.Kind == Kind
}
