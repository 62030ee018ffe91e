package infra

import (
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

var (
	uses   = regexp.MustCompile(`(?m)^\s*(?:- )?uses: (.+)$`)
	pinned = regexp.MustCompile(`^[\w-]+/[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$`)
)

func TestWorkflowsCanBeReadAndTakeOnlyWhatIsPinned(t *testing.T) {
	workflows, err := filepath.Glob("../.github/workflows/*.yml")
	require.NoError(t, err)
	require.NotEmpty(t, workflows)
	commits := map[string]string{}
	for _, file := range workflows {
		src := read(t, file)
		var workflow struct {
			Permissions map[string]string
			Jobs        map[string]struct {
				Permissions map[string]string
				Steps       []struct{ Run string }
			}
		}
		require.NoError(t, yaml.Unmarshal([]byte(src), &workflow), file)
		assert.NotEmpty(t, workflow.Jobs, file)
		assert.Equal(t, map[string]string{"contents": "read"}, workflow.Permissions, "%s: a job asks for more itself", file)
		for name, job := range workflow.Jobs {
			if !slices.Contains(slices.Collect(maps.Values(job.Permissions)), "write") {
				continue
			}
			for _, step := range job.Steps {
				assert.NotRegexp(t, `\b(go test|npm|npx|node)\b`, step.Run, "%s: job %s may write: packages from npm must not run in it", file, name)
			}
		}
		for _, m := range uses.FindAllStringSubmatch(src, -1) {
			assert.Regexp(t, pinned, m[1], file)
			action, commit, _ := strings.Cut(m[1], "@")
			action = strings.Join(strings.Split(action, "/")[:2], "/")
			if commits[action] == "" {
				commits[action] = commit
			}
			assert.Equal(t, commits[action], commit, "%s in one version everywhere", action)
		}
	}
	for _, pattern := range []string{"../.github/*.yml", "../.github/ISSUE_TEMPLATE/*.yml", "../.golangci.yml"} {
		files, err := filepath.Glob(pattern)
		require.NoError(t, err)
		require.NotEmpty(t, files, pattern)
		for _, file := range files {
			assert.NoError(t, yaml.Unmarshal([]byte(read(t, file)), &map[string]any{}), file)
		}
	}
}

func TestTheImageRunsAsNobodyAndKnowsWhetherItLives(t *testing.T) {
	src := read(t, "../Dockerfile")
	assert.Regexp(t, `(?m)^FROM gcr\.io/distroless/\S+:nonroot$`, src)
	assert.Contains(t, src, `CMD ["/handler", "health"]`)
}
