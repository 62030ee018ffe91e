package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"acsauth/internal/config"
	"acsauth/internal/localcloud"
	"acsauth/internal/localcloud/entraid"
	"acsauth/internal/localcloud/funchost"
	"acsauth/internal/localcloud/page"
)

const (
	settingsFile   = "local.settings.json"
	connectionFile = "acs-connection-string"
	// funcURL is where `func start` serves the functions.
	funcURL = "http://localhost:7071"
	// pagePort is where the page is then.
	pagePort = 7070
)

// standIns is what -no-host runs: the stand-ins, and the page.
type standIns struct {
	base            // whose URL is the page's
	settings string // the local.settings.json that was written; empty when there was one
	content  []byte
}

// serveStandIns runs the stand-ins alone until ctx ends.
func serveStandIns(ctx context.Context, o options, out io.Writer) (err error) {
	s := &standIns{}
	defer s.stop()
	root, err := moduleRoot(ctx)
	if err != nil {
		return err
	}
	if err := s.start(ctx, o, root); err != nil {
		return err
	}
	if err := s.writeSettings(root); err != nil {
		return err
	}
	s.printWelcome(out)
	<-ctx.Done()
	return nil
}

func (s *standIns) start(ctx context.Context, o options, root string) error {
	if err := s.open(ctx, o, "the page"); err != nil {
		return err
	}
	if err := turnKnobs(s.cloud, o); err != nil {
		return err
	}
	functions, err := funchost.ReadFunctions(root, nil)
	if err != nil {
		return err
	}
	s.content = s.settingsFor(functions)
	for name, content := range map[string][]byte{settingsFile: s.content, connectionFile: []byte(s.cloud.ConnectionString().Reveal() + "\n")} {
		if err := s.folder.write(name, content); err != nil {
			return err
		}
	}
	s.serve(page.New(page.Config{Cloud: s.cloud, URL: s.URL, Service: funcURL, Functions: functions}))
	return nil
}

// settingsFor makes a local.settings.json that points at the stand-ins. Timers
// are off in it: they need a storage account, which is not among the stand-ins.
func (s *standIns) settingsFor(functions []funchost.Function) []byte {
	values := map[string]string{
		"FUNCTIONS_WORKER_RUNTIME": "custom",
		"AzureWebJobsStorage":      "UseDevelopmentStorage=true",
		"IDENTITY_STORE":           config.StoreLocal,
		"LOCAL_STORE_PATH":         s.folder.file(storeFile),
	}
	for _, pair := range s.cloud.Settings() {
		name, value, _ := strings.Cut(pair, "=")
		values[name] = value
	}
	for _, f := range functions {
		if f.Schedule != "" {
			values["AzureWebJobs."+f.Name+".Disabled"] = "true"
		}
	}
	var content bytes.Buffer
	encoder := json.NewEncoder(&content)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(map[string]any{ // of strings: never fails
		"IsEncrypted": false,
		"Values":      values,
		"Host":        map[string]any{"CORS": "http://localhost:3000"},
	})
	return content.Bytes()
}

// writeSettings puts the settings where `func start` looks for them, unless
// there are some.
func (s *standIns) writeSettings(root string) error {
	path := filepath.Join(root, settingsFile)
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("settings for func start: %w", err)
	}
	s.settings = path
	_, err = file.Write(s.content)
	return errors.Join(err, file.Close())
}

func (s *standIns) printWelcome(out io.Writer) {
	authority := s.cloud.EntraURL + "/" + entraid.SampleTenantID
	printf(out, `
The stand-ins are running offline, without the functions. %s

  the page               %s/
  Entra ID stand-in      %s/v2.0
  ACS stand-in           %s
  Graph stand-in         %s
  CA to trust for all    %s

`, s.folder.warning(), s.URL, authority, s.cloud.ACSURL, s.cloud.GraphURL, s.cloud.CACertFile)
	if s.settings != "" {
		printf(out, "%s points at them. In another terminal:\n\n", s.settings)
	} else {
		printf(out, "There is a local.settings.json already, and it stays as it is. One that points\nat the stand-ins is %s. Put that in its place, then:\n\n", s.folder.file(settingsFile))
	}
	handler := "bin/handler"
	if runtime.GOOS == "windows" {
		handler += ".exe"
	}
	printf(out, `go build -o %s ./handler && func start

For a client of your own, in any language:

  ACS connection string  in %s
  authority              %s
  client id in a browser %s
  client id elsewhere    %s
  scope                  %s
  client secret, API's   in %s

export NODE_EXTRA_CA_CERTS='%[8]s'    # Node.js
export REQUESTS_CA_BUNDLE='%[8]s'    # Python
export SSL_CERT_FILE='%[8]s'    # Go, and .NET on Linux

Ctrl-C stops everything.
`, handler, s.folder.file(connectionFile), authority, localcloud.SPAClientID, localcloud.DesktopClientID, localcloud.APIScope,
		s.folder.file(settingsFile), s.cloud.CACertFile)
}

// stop ends everything. The settings that were written go too, unless somebody
// has changed them or a restart brings the same stand-ins back.
func (s *standIns) stop() {
	if s.settings != "" && !s.folder.kept {
		if now, err := os.ReadFile(s.settings); err == nil && bytes.Equal(now, s.content) {
			_ = os.Remove(s.settings)
		}
	}
	s.base.stop()
}
