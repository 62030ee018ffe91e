package funchost

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSchedulesAreReadAsNCRONTAB(t *testing.T) {
	const layout = "2006-01-02 15:04:05"
	for _, row := range []struct{ schedule, after, want string }{
		{"0 */5 * * * *", "2026-11-22 10:02:30", "2026-11-22 10:05:00"},
		{"0 */5 * * * *", "2026-11-22 10:05:00", "2026-11-22 10:10:00"},
		{"*/5 * * * *", "2026-11-22 10:02:30", "2026-11-22 10:05:00"},
		{"30 0 0 1 * *", "2026-12-01 00:00:30", "2027-01-01 00:00:30"},
		{"0 0 9-17 * * MON-FRI", "2026-11-20 17:30:00", "2026-11-23 09:00:00"},
		{"0 30 9 * jan,Mar *", "2026-11-22 00:00:00", "2027-01-01 09:30:00"},
		{"0 0 0 13 * 5", "2026-11-22 00:00:00", "2027-08-13 00:00:00"}, // both must fit
		{"0 0 0 29 2 *", "2026-11-22 00:00:00", "2028-02-29 00:00:00"},
		{"10/20 * * * * *", "2026-11-22 00:00:11", "2026-11-22 00:00:30"},
		{"59 59 23 31 12 *", "2026-12-31 23:59:59", "2027-12-31 23:59:59"},
		{"00:00:30", "2026-11-22 00:00:11", "2026-11-22 00:00:41"},
		{"1.00:00:00", "2026-11-22 00:00:11", "2026-11-23 00:00:11"},
	} {
		s, err := parseSchedule(row.schedule)
		require.NoError(t, err, row.schedule)
		after, err := time.Parse(layout, row.after)
		require.NoError(t, err)
		assert.Equal(t, row.want, s.next(after).Format(layout), row.schedule)
	}
	for _, text := range []string{
		"", "*", "* * * *", "* * * * * * *", "60 * * * * *", "* * 24 * * *", "* * * 0 * *", "* * * * 13 *", "* * * * * 7",
		"5-1 * * * * *", "*/0 * * * * *", "a * * * * *", "0 0 0 31 2 *", "1, * * * * *", "00:00:00", "%MISSING%", "-1 * * * * *",
	} {
		_, err := parseSchedule(text)
		assert.Error(t, err, text)
	}
}

func TestPoint23ATimerFiresOnItsSchedule(t *testing.T) {
	timer := func(b object) object {
		b["type"], b["direction"], b["name"] = "timerTrigger", "in", "timer"
		return object{"bindings": []object{b}}
	}
	app := forwarding()
	app.env = []string{"EACH_SECOND=* * * * * *", "AzureWebJobs.off.Disabled=true"}
	app.functions = map[string]object{
		"sweep": timer(object{"schedule": "%EACH_SECOND%"}),
		"odd":   timer(object{"schedule": "0 0 0 1 1 *", "runOnStartup": true}),
		"off":   timer(object{"schedule": "* * * * * *"}),
	}
	r := app.start(t)
	count := func(path string) (n int) {
		for _, record := range r.Records() {
			if record.Category == CategoryConsole && strings.Contains(record.Text, `"URI":"`+path+`"`) {
				n++
			}
		}
		return n
	}
	eventually(t, "two runs", func() bool { return count("/sweep") >= 2 })
	eventually(t, "a run at the start", func() bool { return count("/odd") > 0 })
	assert.Equal(t, 1, count("/odd"), "at the start alone")
	assert.Zero(t, count("/off"))
	r.Stop()
	before := count("/sweep")
	time.Sleep(1100 * time.Millisecond) // a schedule knows no shorter time
	assert.Equal(t, before, count("/sweep"), "nothing fires after the end")
}

func TestAScheduleThatIsNoneIsNamedAtTheStart(t *testing.T) {
	app := setup{functions: map[string]object{"sweep": {"bindings": []object{
		{"type": "timerTrigger", "direction": "in", "name": "timer", "schedule": "%MISSING%"},
	}}}}
	_, err := Start(t.Context(), app.write(t))
	assert.ErrorContains(t, err, "function.json: schedule: expected six fields")
}
