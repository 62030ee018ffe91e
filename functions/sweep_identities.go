package functions

import (
	"fmt"
	"net/http"
)

// payloadAnswer is what the Functions host takes from a function that has no
// HTTP trigger.
type payloadAnswer struct {
	Outputs     map[string]any
	Logs        []string
	ReturnValue any
}

// sweepIdentities finishes erasures that were noted and not done, as far as the
// time of one request goes. A timer of the Functions host calls it; what the
// host says of the timer is of no use here.
func (a *app) sweepIdentities(c *call) error {
	swept, err := a.Identities.Sweep(c.r.Context())
	if err != nil {
		return err
	}
	return c.json(http.StatusOK, payloadAnswer{Outputs: map[string]any{}, Logs: []string{
		fmt.Sprintf("%d finished, %d failed, %d pending, %d overdue", swept.Finished, swept.Failed, swept.Pending, swept.Overdue),
	}})
}
