package funchost

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const (
	defaultInitTimeout     = 30 * time.Second
	defaultFunctionTimeout = 30 * time.Minute // of every plan but Consumption
	defaultBodyLimit       = 100 << 20
)

// app is what an app folder says.
type app struct {
	description     description
	forwarding      bool
	proxying        bool
	initTimeout     time.Duration
	functionTimeout time.Duration // zero: no limit
	port            int           // zero: any
	bodyLimit       int64
	homepage        bool
	functions       []*function // in the order in which their routes are tried
}

// description is customHandler.description: the command.
type description struct {
	DefaultExecutablePath          string
	DefaultWorkerPath              string
	WorkingDirectory               string
	WorkerDirectory                string
	Arguments                      []string
	WorkerArguments                []string
	UseStdErrorStreamForErrorsOnly *bool
}

// hostJSON is the part of host.json that concerns a custom handler. Names match
// without regard to case and unknown ones are ignored, as in the host.
type hostJSON struct {
	Version              string
	FunctionTimeout      string
	ConfigurationProfile string
	CustomHandler        *struct {
		Description                 *description
		EnableForwardingHTTPRequest bool   `json:"enableForwardingHttpRequest"`
		EnableProxyingHTTPRequest   bool   `json:"enableProxyingHttpRequest"`
		InitializationTimeout       string `json:"initializationTimeout"`
		Port                        portNumber
		HTTP                        struct{ Routes []json.RawMessage }
	}
	Extensions struct {
		HTTP struct{ RoutePrefix *string }
	}
}

// portNumber is a number, in quotes or not: the host's configuration binds both.
type portNumber int

func (p *portNumber) UnmarshalJSON(b []byte) error {
	n, err := strconv.ParseUint(string(bytes.Trim(b, `"`)), 10, 16)
	if err != nil {
		return fmt.Errorf("port: expected 1 to 65535, got %s", b)
	}
	*p = portNumber(n)
	return nil
}

// readApp reads host.json and the function.json files below root. The error
// names every fault.
func readApp(root string, settings map[string]string) (*app, error) {
	var file hostJSON
	if err := readJSON(filepath.Join(root, "host.json"), &file); err != nil {
		return nil, err
	}
	a := &app{
		initTimeout:     defaultInitTimeout,
		functionTimeout: defaultFunctionTimeout,
		bodyLimit:       defaultBodyLimit,
		homepage:        !isTrue(settings["AzureWebJobsDisableHomepage"]),
	}
	var faults []error
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("host.json: "+format, args...))
	}

	if file.Version != "2.0" {
		fault("version: expected \"2.0\", got %q", file.Version)
	}
	if p := file.ConfigurationProfile; p != "" && p != "default" {
		fault("configurationProfile %q is not supported here", p)
	}
	if file.FunctionTimeout == "-1" {
		a.functionTimeout = 0
	} else if err := setTimeSpan(&a.functionTimeout, file.FunctionTimeout); err != nil {
		fault("functionTimeout: %w", err)
	}
	if c := file.CustomHandler; c == nil {
		fault("customHandler is missing")
	} else {
		switch {
		case c.Description == nil:
			fault("customHandler: missing worker description")
		case c.Description.DefaultExecutablePath == "":
			fault("customHandler.description: defaultExecutablePath cannot be empty")
		default:
			a.description = *c.Description
		}
		if err := setTimeSpan(&a.initTimeout, c.InitializationTimeout); err != nil {
			fault("customHandler.initializationTimeout: %w", err)
		}
		if len(c.HTTP.Routes) > 0 {
			fault("customHandler.http.routes is not supported here")
		}
		a.forwarding, a.proxying, a.port = c.EnableForwardingHTTPRequest, c.EnableProxyingHTTPRequest, int(c.Port)
	}
	if s := settings["FUNCTIONS_REQUEST_BODY_SIZE_LIMIT"]; s != "" {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil || n <= 0 {
			fault("FUNCTIONS_REQUEST_BODY_SIZE_LIMIT: expected a number of bytes, got %q", s)
		}
		a.bodyLimit = n
	}

	prefix := "api"
	if p := file.Extensions.HTTP.RoutePrefix; p != nil {
		prefix = strings.Trim(*p, "/")
	}
	var err error
	a.functions, err = readFunctions(root, prefix, settings)
	if err := errors.Join(append(faults, err)...); err != nil {
		return nil, err
	}
	return a, nil
}

func readJSON(path string, into any) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read app: %w", err)
	}
	b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf")) // a mark that editors on Windows leave
	if err := json.Unmarshal(b, into); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

var timeSpan = regexp.MustCompile(`^(?:(\d+)\.)?(\d\d?):(\d\d?)(?::(\d\d?(?:\.\d{1,7})?))?$`)

// setTimeSpan parses .NET's [d.]hh:mm[:ss[.fff]] into d. A bare number is days,
// a trap that the host has too. Empty leaves d alone.
func setTimeSpan(d *time.Duration, s string) error {
	if s == "" {
		return nil
	}
	bad := fmt.Errorf("expected a positive time span as hh:mm:ss, got %q", s)
	parts := timeSpan.FindStringSubmatch(s)
	if days, err := strconv.ParseUint(s, 10, 16); err == nil {
		parts = []string{s, strconv.FormatUint(days, 10), "0", "0", "0"}
	}
	if parts == nil {
		return bad
	}
	var sum time.Duration
	for i, unit := range []struct {
		length time.Duration
		limit  float64
	}{{24 * time.Hour, 100_000}, {time.Hour, 24}, {time.Minute, 60}, {time.Second, 60}} {
		v, err := strconv.ParseFloat("0"+parts[i+1], 64) // "" is 0
		if err != nil || v >= unit.limit {
			return bad
		}
		sum += time.Duration(v * float64(unit.length))
	}
	if sum <= 0 {
		return bad
	}
	*d = sum
	return nil
}

// isTrue is how the host reads a switch among the app settings.
func isTrue(s string) bool { return s == "1" || strings.EqualFold(s, "true") }
