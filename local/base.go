package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"acsauth/internal/localcloud"
)

// base is what each run has: a folder, the stand-ins, and a port of its own.
type base struct {
	folder   *folder
	cloud    *localcloud.Cloud
	keeper   *keeper
	listener net.Listener
	server   *http.Server
	URL      string // http://localhost:<port>
}

// open takes the port, which is for what name says, and starts the stand-ins.
// Whatever the outcome, stop ends what has been started.
func (b *base) open(ctx context.Context, o options, name string) (err error) {
	if b.folder, err = openFolder(o.state); err != nil {
		return err
	}
	saved, err := readState(b.folder)
	if err != nil {
		return err
	}
	if err := o.choosePorts(saved); err != nil {
		return err
	}
	if b.listener, err = localcloud.Listen(ctx, name, o.port, "-port"); err != nil {
		return err
	}
	b.URL = fmt.Sprintf("http://localhost:%d", b.listener.Addr().(*net.TCPAddr).Port)
	if b.cloud, err = startCloud(b.folder, saved, o); err != nil {
		return err
	}
	b.keeper = keep(b.folder, b.cloud)
	return nil
}

func (b *base) serve(handler http.Handler) { b.server = serveOn(b.listener, handler) }

func serveOn(l net.Listener, handler http.Handler) *http.Server {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, MaxHeaderBytes: 32 << 10}
	go func() { _ = server.Serve(l) }()
	return server
}

// graceTime is how long an answer that has begun may take to end.
const graceTime = time.Second

// shut ends a server. Answers that have begun come to their end, so that a page
// that is just loading has no error to show.
func shut(server *http.Server) {
	ctx, cancel := context.WithTimeout(context.Background(), graceTime)
	defer cancel()
	_ = server.Shutdown(ctx)
	_ = server.Close() // what has not ended by now
}

// stopServing ends the server, if there is one by now.
func (b *base) stopServing() {
	switch {
	case b.server != nil:
		shut(b.server)
	case b.listener != nil:
		_ = b.listener.Close()
	}
}

// stop ends everything that was started; nothing is left behind.
func (b *base) stop() {
	b.stopServing()
	if b.cloud != nil {
		b.cloud.Close()
	}
	if b.keeper != nil {
		b.keeper.stop()
	}
	if b.folder != nil {
		b.folder.close()
	}
}
