package storetest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"acsauth/internal/identity"
)

const (
	processes      = 3
	perProcess     = 8 // creates for one user at once
	placeVariable  = "STORETEST_PLACE"
	usersVariable  = "STORETEST_USERS"
	outcomeMarker  = "storetest outcome: "
	outcomeWon     = "won"
	outcomeRefused = "exists"
)

// outcome is what became of one create in another process.
type outcome struct {
	User, AcsUserID, Result string
}

// Child is the other process of the suite: this test binary, run again for the
// one test that calls Child. Otherwise it skips that test. open is given what
// Config.Place returned.
func Child(t *testing.T, open func(t *testing.T, place string) Backend) {
	place, ok := os.LookupEnv(placeVariable)
	if !ok {
		t.Skip("the suite runs it in processes of its own")
	}
	b := open(t, place)
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n') // until all processes are there
	for key := range strings.SplitSeq(os.Getenv(usersVariable), ",") {
		user, err := identity.ParseUser(key)
		require.NoError(t, err)
		outcomes := make([]outcome, perProcess)
		for i, err := range together(perProcess, func(i int) error {
			m := newMapping(t, user)
			outcomes[i] = outcome{User: key, AcsUserID: m.AcsUserID}
			_, err := b.Create(call(t), m)
			return err
		}) {
			switch {
			case err == nil:
				outcomes[i].Result = outcomeWon
			case errors.Is(err, identity.ErrExists):
				outcomes[i].Result = outcomeRefused
			default:
				outcomes[i].Result = err.Error()
			}
			line, err := json.Marshal(outcomes[i])
			require.NoError(t, err)
			fmt.Println(outcomeMarker + string(line))
		}
	}
}

// raceProcesses has several processes create mappings for the same users.
func (c Config) raceProcesses(t *testing.T) {
	b := c.Open(t)
	exe, err := os.Executable()
	require.NoError(t, err)
	var keys []string
	for range rounds {
		keys = append(keys, newUser(t).Key())
	}
	var outputs [processes]bytes.Buffer
	var children [processes]*exec.Cmd
	var starts [processes]io.WriteCloser
	for i := range children {
		cmd := exec.CommandContext(t.Context(), exe, "-test.run", "^"+c.ChildTest+"$", "-test.v")
		cmd.Env = append(os.Environ(), placeVariable+"="+c.Place(t, b), usersVariable+"="+strings.Join(keys, ","))
		cmd.Stdout, cmd.Stderr = &outputs[i], &outputs[i]
		starts[i], err = cmd.StdinPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		children[i] = cmd
	}
	for _, start := range starts {
		_, err := io.WriteString(start, "go\n")
		require.NoError(t, err)
	}
	winners, refused := map[string]string{}, 0
	for i, cmd := range children {
		require.NoError(t, cmd.Wait(), "%s", &outputs[i])
		for line := range strings.Lines(outputs[i].String()) {
			text, ok := strings.CutPrefix(line, outcomeMarker)
			if !ok {
				continue
			}
			var o outcome
			require.NoError(t, json.Unmarshal([]byte(text), &o))
			switch o.Result {
			case outcomeWon:
				require.Empty(t, winners[o.User], "a second create won")
				winners[o.User] = o.AcsUserID
			case outcomeRefused:
				refused++
			default:
				assert.Fail(t, "a create failed", o.Result)
			}
		}
	}
	assert.Equal(t, rounds*(processes*perProcess-1), refused)
	for _, key := range keys {
		user, err := identity.ParseUser(key)
		require.NoError(t, err)
		m, err := b.Get(call(t), user)
		require.NoError(t, err)
		assert.Equal(t, winners[key], m.AcsUserID)
	}
}
