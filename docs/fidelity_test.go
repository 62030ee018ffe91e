package docs

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const assumed = "Assumed:"

// marks are the paragraphs of comments that begin with "Assumed:", by package.
func marks(t *testing.T) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	require.NoError(t, filepath.WalkDir(filepath.Join("..", "internal", "localcloud"), func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		for _, group := range file.Comments {
			for paragraph := range strings.SplitSeq(group.Text(), "\n\n") {
				if _, text, ok := strings.Cut("\n"+paragraph, "\n"+assumed); ok {
					found[file.Name.Name] = append(found[file.Name.Name], plain(text))
				}
			}
		}
		return nil
	}))
	return found
}

// plain has one space between words, and no capital at the start.
func plain(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if text == "" {
		return ""
	}
	return strings.ToLower(text[:1]) + text[1:]
}

// listed are the bullets below "Guessed (package `name`):", by package.
func listed(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("local-cloud-fidelity.md")
	require.NoError(t, err)
	found := map[string][]string{}
	for _, m := range regexp.MustCompile("(?s)Guessed \\(package `(\\w+)`\\):\n\n(.*?)(?:\n#|$)").FindAllStringSubmatch(string(text), -1) {
		for _, bullet := range strings.Split("\n"+m[2], "\n- ")[1:] {
			found[m[1]] = append(found[m[1]], plain(bullet))
		}
	}
	return found
}

func TestEveryGuessIsListed(t *testing.T) {
	inCode, inDocument := marks(t), listed(t)
	require.NotEmpty(t, inCode)
	for name, texts := range inCode {
		assert.ElementsMatch(t, texts, inDocument[name], "package %s: comments that begin with %q, and docs/local-cloud-fidelity.md", name, assumed)
	}
	for name := range inDocument {
		assert.Contains(t, inCode, name)
	}
}
