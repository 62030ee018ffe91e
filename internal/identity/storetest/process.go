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
	outcomeRefused = "refused"
)

// outcome is what became of one create, or claim, in another process.
type outcome struct {
	Claim                   bool
	User, AcsUserID, Result string
}

func newOutcome(o outcome, err, refusal error) outcome {
	switch {
	case err == nil:
		o.Result = outcomeWon
	case errors.Is(err, refusal):
		o.Result = outcomeRefused
	default:
		o.Result = err.Error()
	}
	return o
}

// claimedBy is the identity that all processes claim, each for users of its own.
func claimedBy(user identity.User) string { return "8:acs:" + user.TenantID + "_" + user.ObjectID }

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
		outcomes := make([]outcome, 2*perProcess)
		together(perProcess, func(i int) error {
			m := newMapping(t, user)
			_, err := b.Create(call(t), m)
			outcomes[i] = newOutcome(outcome{User: key, AcsUserID: m.AcsUserID}, err, identity.ErrExists)
			return nil
		})
		claims := claimsOf(t, b)
		together(perProcess, func(i int) error {
			claimant, id := newUser(t), claimedBy(user)
			err := claims.Claim(call(t), id, claimant)
			outcomes[perProcess+i] = newOutcome(outcome{Claim: true, User: claimant.Key(), AcsUserID: id}, err, identity.ErrClaimed)
			return nil
		})
		for _, o := range outcomes {
			line, err := json.Marshal(o)
			require.NoError(t, err)
			fmt.Println(outcomeMarker + string(line))
		}
	}
}

// raceProcesses has several processes create mappings for the same users and claim
// the same identities.
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
	winners, owners, refused := map[string]string{}, map[string]string{}, 0
	for i, cmd := range children {
		require.NoError(t, cmd.Wait(), "%s", &outputs[i])
		for line := range strings.Lines(outputs[i].String()) {
			text, ok := strings.CutPrefix(line, outcomeMarker)
			if !ok {
				continue
			}
			var o outcome
			require.NoError(t, json.Unmarshal([]byte(text), &o))
			switch {
			case o.Result == outcomeRefused:
				refused++
			case o.Result != outcomeWon:
				assert.Fail(t, "a create or a claim failed", o.Result)
			case o.Claim:
				require.Empty(t, owners[o.AcsUserID], "a second claim won")
				owners[o.AcsUserID] = o.User
			default:
				require.Empty(t, winners[o.User], "a second create won")
				winners[o.User] = o.AcsUserID
			}
		}
	}
	assert.Equal(t, 2*rounds*(processes*perProcess-1), refused)
	for _, key := range keys {
		user, err := identity.ParseUser(key)
		require.NoError(t, err)
		m, err := b.Get(call(t), user)
		require.NoError(t, err)
		assert.Equal(t, winners[key], m.AcsUserID)
		owner, err := identity.ParseUser(owners[claimedBy(user)])
		require.NoError(t, err)
		assert.NoError(t, claimsOf(t, b).Claim(call(t), claimedBy(user), owner))
	}
}
