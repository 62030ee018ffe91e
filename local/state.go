package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"acsauth/internal/freeport"
	"acsauth/internal/localcloud"
)

// saveInterval is how often a change is looked for: what a run loses that is
// killed.
const saveInterval = 200 * time.Millisecond

// readState returns what an earlier run has left in the folder; nil is nothing.
func readState(f *folder) (*localcloud.State, error) {
	if !f.kept {
		return nil, nil
	}
	text, err := os.ReadFile(f.file(stateFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	saved, err := localcloud.ReadState(text)
	return saved, f.explain(err)
}

// explain says which file is meant, and what to do about it.
func (f *folder) explain(err error) error {
	if !errors.Is(err, localcloud.ErrState) {
		return err
	}
	return fmt.Errorf("%s: %w\nMove the file away to start anew, or name another folder with -state", f.file(stateFile), err)
}

// choosePorts fills in what no flag says. The stand-ins go on with the ports of
// the last run, which are in the tokens that clients have, or take free ones: of
// those that stay free between two runs, where state is kept.
func (o *options) choosePorts(saved *localcloud.State) error {
	if saved == nil {
		saved = &localcloud.State{}
		if o.state != "" {
			ports, err := freeport.FindAll(3)
			if err != nil {
				return err
			}
			saved.EntraPort, saved.ACSPort, saved.GraphPort = ports[0], ports[1], ports[2]
		}
	}
	for _, p := range []struct {
		port  *int
		usual int
	}{
		{&o.port, o.usualPort}, {&o.entraPort, saved.EntraPort}, {&o.acsPort, saved.ACSPort}, {&o.graphPort, saved.GraphPort},
	} {
		if *p.port == notGiven {
			*p.port = p.usual
		}
	}
	return nil
}

func startCloud(f *folder, saved *localcloud.State, o options) (*localcloud.Cloud, error) {
	cloud, err := localcloud.Start(localcloud.Options{
		Dir: f.path, State: saved, EntraPort: o.entraPort, ACSPort: o.acsPort, GraphPort: o.graphPort,
	})
	return cloud, f.explain(err)
}

// turnKnobs sets what the flags say.
func turnKnobs(cloud *localcloud.Cloud, o options) error {
	for _, line := range o.knobs {
		if _, err := cloud.Knobs.Turn(line); err != nil {
			return err
		}
	}
	return nil
}

// keeper writes the state down whenever requests may have changed it.
type keeper struct {
	folder *folder
	cloud  *localcloud.Cloud
	cancel context.CancelFunc
	done   sync.WaitGroup
}

// keep starts a keeper; it does nothing for a folder that is not kept.
func keep(f *folder, cloud *localcloud.Cloud) *keeper {
	ctx, cancel := context.WithCancel(context.Background())
	k := &keeper{folder: f, cloud: cloud, cancel: cancel}
	if f.kept {
		k.done.Go(func() { k.run(ctx) })
	}
	return k
}

func (k *keeper) run(ctx context.Context) {
	tick := time.NewTicker(saveInterval)
	defer tick.Stop()
	for saved := -1; ; {
		served := k.cloud.Served()
		if served != saved && k.save() == nil { // tried again if it fails
			saved = served
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (k *keeper) save() error {
	text, err := k.cloud.Export()
	if err != nil {
		return err
	}
	return k.folder.write(stateFile, text)
}

// stop writes the state down for the last time.
func (k *keeper) stop() {
	k.cancel()
	k.done.Wait()
	if k.folder.kept {
		_ = k.save() // there is nothing left to do about an error
	}
}
