// Package docs holds the documents to the rest of the repository.
package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	link    = regexp.MustCompile(`\[[^\]]*\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#{1,6} +(.+)$`)
	fenced  = regexp.MustCompile("(?ms)^```.*?^```")
	code    = regexp.MustCompile("`[^`\n]*`")
	other   = regexp.MustCompile(`[^\p{L}\p{N}_ -]`)
)

// brokenLinks are the relative links in file that lead to no file or heading.
func brokenLinks(t *testing.T, file string) (broken []string) {
	t.Helper()
	text := code.ReplaceAllString(read(t, file, true), "")
	for _, m := range link.FindAllStringSubmatch(text, -1) {
		target, anchor, _ := strings.Cut(m[1], "#")
		if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
			continue
		}
		to := file
		if target != "" {
			to = filepath.Join(filepath.Dir(file), target)
		}
		if _, err := os.Stat(to); err != nil || anchor != "" && !anchors(t, to)[anchor] {
			broken = append(broken, m[1])
		}
	}
	return broken
}

// anchors are the names that GitHub gives to headings.
func anchors(t *testing.T, file string) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	for _, m := range heading.FindAllStringSubmatch(read(t, file, true), -1) {
		name := other.ReplaceAllString(strings.ToLower(m[1]), "")
		found[strings.ReplaceAll(strings.TrimSpace(name), " ", "-")] = true
	}
	return found
}

func read(t *testing.T, file string, withoutCode bool) string {
	t.Helper()
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	if withoutCode {
		return fenced.ReplaceAllString(string(b), "")
	}
	return string(b)
}

func TestEveryRelativeLinkLeadsSomewhere(t *testing.T) {
	files, err := filepath.Glob("*.md")
	require.NoError(t, err)
	more, err := filepath.Glob("../*.md")
	require.NoError(t, err)
	for _, file := range append(append(files, more...), "../client/README.md") {
		assert.Empty(t, brokenLinks(t, file), file)
	}
}

func TestTheREADMELeadsToEveryDocument(t *testing.T) {
	files, err := filepath.Glob("*.md")
	require.NoError(t, err)
	for _, file := range files {
		assert.Contains(t, read(t, "../README.md", true), "](docs/"+file+")")
	}
}

func TestABrokenLinkIsFound(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.md")
	require.NoError(t, os.WriteFile(file, []byte("# What is it?\n[a](b.md) [b](#what-is-it) [c](#nothing) [d](https://example.com/x) `[e](f.md)`\n"), 0o600))
	assert.Equal(t, []string{"b.md", "#nothing"}, brokenLinks(t, file))
}

func TestCodeOfTheSampleClientIsQuotedAsItIs(t *testing.T) {
	blocks := regexp.MustCompile("(?s)```js\n(.*?)```").FindAllStringSubmatch(read(t, "building-on-the-service.md", false), -1)
	require.NotEmpty(t, blocks)
	for _, block := range blocks {
		assert.Contains(t, read(t, "../client/service.js", false), block[1])
	}
}

// TestEveryCodeIsExplained: a client sees the code and looks for it here.
func TestEveryCodeIsExplained(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "../internal/identity/error.go", nil, 0)
	require.NoError(t, err)
	rows := map[string]bool{}
	for line := range strings.Lines(read(t, "troubleshooting.md", false)) {
		if cells := strings.Split(line, "|"); len(cells) == 6 {
			rows[strings.Trim(cells[1], " `")] = true
		}
	}
	codes := 0
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Names) != 1 || !strings.HasPrefix(spec.Names[0].Name, "Code") {
			return true
		}
		value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		require.NoError(t, err)
		assert.True(t, rows[value], "troubleshooting.md does not explain %s", value)
		codes++
		return true
	})
	assert.Greater(t, codes, 20)
}
