package acsidentity

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestLimitsHoldForThirtySeconds(t *testing.T) {
	res := newResource(t)
	create := func() int { return res.do(http.MethodPost, "/identities", newest, "").Code }
	for range 3 {
		assert.Equal(t, http.StatusCreated, create(), "no limit by default")
	}
	res.SetLimits(map[string]int{OpCreate: 2})
	assert.Equal(t, http.StatusCreated, create())
	assert.Equal(t, http.StatusCreated, create())
	res.now = res.now.Add(limitWindow - 1500*time.Millisecond)
	w := res.do(http.MethodPost, "/identities", newest, "")
	assert.Equal(t, http.StatusTooManyRequests, w.Code)
	assert.Equal(t, "2", w.Header().Get("Retry-After"))
	assert.Equal(t, "TooManyRequests", member(t, object(t, w), "error", "code"))
	assert.Equal(t, http.StatusNoContent, res.do(http.MethodDelete, "/identities/8:acs:"+resourceID+"_x", newest, "").Code, "not limited")
	res.now = res.now.Add(2 * time.Second)
	assert.Equal(t, http.StatusCreated, create())
	res.SetLimits(nil)
	for range 3 {
		assert.Equal(t, http.StatusCreated, create())
	}
	assert.Len(t, DocumentedLimits(), 6)
}
