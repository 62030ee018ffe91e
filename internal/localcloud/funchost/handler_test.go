package funchost

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// The test binary plays three parts, told by this variable: the tests, the
// custom handler, and a host that gets killed.
const roleVariable = "FUNCHOST_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(roleVariable) {
	case "handler":
		handlerMain()
	case "host":
		hostMain()
	default:
		os.Exit(m.Run())
	}
}

// handlerMain is a custom handler that misbehaves on demand: at its start as
// the variable START says, and in a request as the end of its path says.
func handlerMain() {
	addr := "127.0.0.1:" + os.Getenv("FUNCTIONS_CUSTOMHANDLER_PORT")
	start, arg, _ := strings.Cut(os.Getenv("START"), ":")
	switch start {
	case "mute":
		select {}
	case "exit":
		exit(arg)
	case "wait": // for a file
		await(arg)
	case "elsewhere": // on a port of its own choice
		addr = "127.0.0.1:0"
	case "garbage", "reset", "hold":
		l, err := net.Listen("tcp", addr)
		check(err)
		for {
			c, err := l.Accept()
			check(err)
			switch start {
			case "garbage":
				_, _ = io.WriteString(c, "no HTTP at all\r\n\r\n")
				_ = c.Close()
			case "reset":
				_ = c.(*net.TCPConn).SetLinger(0)
				_ = c.Close()
			}
		}
	}
	l, err := net.Listen("tcp", addr)
	check(err)
	fmt.Println("listening")
	check(http.Serve(l, http.HandlerFunc(handle)))
}

// hostMain runs a host until it is killed.
func hostMain() {
	executable, err := os.Executable()
	check(err)
	h, err := Start(context.Background(), Config{
		Root:       os.Getenv("ROOT"),
		Executable: executable,
		Env:        append(os.Environ(), roleVariable+"=handler"),
	})
	check(err)
	fmt.Println(h.handlerAddr())
	<-h.Done()
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func exit(code string) {
	n, err := strconv.Atoi(code)
	check(err)
	os.Exit(n)
}

func await(file string) {
	for !isFile(file) {
		time.Sleep(time.Millisecond) // another process makes it: there is nothing to wait on
	}
}

var pings atomic.Int64

// echo is what the handler tells of a request, and of itself.
type echo struct {
	Method, URI, Host, Body string
	Length                  int64
	Encoding                []string
	Header                  http.Header
	PID                     int
	Dir                     string
	Args, Env               []string
	Pings                   int64
}

func handle(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	switch path.Base(strings.ToLower(r.URL.Path)) {
	case "/":
		pings.Add(1)
		w.WriteHeader(http.StatusNotFound)
	case "exit":
		if once := query.Get("once"); once != "" {
			if isFile(once) {
				break
			}
			check(os.WriteFile(once, nil, 0o600))
		}
		exit(query.Get("code"))
	case "hang":
		fmt.Println("hanging")
		for until := query.Get("until"); until == "" || !isFile(until); {
			select {
			case <-r.Context().Done():
				fmt.Println("hung up")
				return
			case <-time.After(time.Millisecond):
			}
		}
		fmt.Println("finished")
	case "half":
		_, _ = io.WriteString(w, "half")
		_ = http.NewResponseController(w).Flush()
		os.Exit(1)
	case "stream":
		control := http.NewResponseController(w)
		_ = control.EnableFullDuplex()
		w.Header().Set("Trailer", "X-End")
		_ = control.Flush()
		for lines := bufio.NewScanner(r.Body); lines.Scan(); {
			fmt.Fprintf(w, "got %s\n", lines.Text())
			_ = control.Flush()
		}
		w.Header().Set("X-End", "yes")
	case "raw":
		answerRaw(w, query)
		return
	case "redirect":
		http.Redirect(w, r, "/elsewhere", http.StatusFound)
	case "headers":
		w.Header()["Set-Cookie"] = []string{"a=1", "b=2"}
		w.Header().Set("Strict-Transport-Security", "max-age=1")
		w.Header().Set("Access-Control-Allow-Origin", "https://handler.example")
		w.Header().Set("Content-Encoding", "gzip") // a lie that nobody may look into
		w.WriteHeader(http.StatusTeapot)
		_, _ = io.WriteString(w, "as it is")
	case "print":
		for range max(1, number(query.Get("repeat"))) {
			_, _ = io.WriteString(os.Stdout, query.Get("out"))
			_, _ = io.WriteString(os.Stderr, query.Get("err"))
		}
	case "custom", "odd", "sweep": // called with a payload
		answerPayload(w, r)
		return
	default:
	}
	if path.Base(strings.ToLower(r.URL.Path)) == "echo" || query.Has("once") {
		writeEcho(w, r)
	}
}

// answerRaw writes bytes to the connection and then does as told: close, the
// default, close it for writing alone, reset it, or hold it.
func answerRaw(w http.ResponseWriter, query url.Values) {
	conn, _, err := http.NewResponseController(w).Hijack()
	check(err)
	defer conn.Close()
	for range max(1, number(query.Get("repeat"))) {
		if _, err := io.WriteString(conn, query.Get("bytes")); err != nil {
			fmt.Println("cut off")
			return
		}
	}
	_, _ = io.WriteString(conn, query.Get("end"))
	tcp := conn.(*net.TCPConn)
	switch query.Get("then") {
	case "half-close":
		_ = tcp.CloseWrite()
		_, _ = io.Copy(io.Discard, conn)
	case "reset":
		_ = tcp.SetLinger(0)
	case "hold":
		_, _ = io.Copy(io.Discard, conn)
		fmt.Println("let go")
	}
}

func number(text string) int {
	n, _ := strconv.Atoi(text)
	return n
}

func writeEcho(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	dir, _ := os.Getwd()
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(echo{
		r.Method, r.RequestURI, r.Host, string(body), r.ContentLength, r.TransferEncoding, r.Header,
		os.Getpid(), dir, os.Args[1:], os.Environ(), pings.Load(),
	})
}

// answerPayload answers with the text, type and status that the payload's own
// query asks for, or tells the request back as the body of the http output.
func answerPayload(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Data map[string]struct{ Query map[string]string }
	}
	body, _ := io.ReadAll(r.Body)
	_ = json.Unmarshal(body, &in)
	query := in.Data["req"].Query
	w.Header().Set("Content-Type", "application/json")
	if t := query["type"]; t != "" {
		w.Header().Set("Content-Type", t)
	}
	if s := query["status"]; s != "" {
		n, _ := strconv.Atoi(s)
		w.WriteHeader(n)
	}
	if text := query["reply"]; text != "" {
		_, _ = io.WriteString(w, text)
		return
	}
	told, _ := json.Marshal(echo{Method: r.Method, URI: r.RequestURI, Header: r.Header, Body: string(body)})
	fmt.Printf("payload %s\n", told)
	_ = json.NewEncoder(w).Encode(map[string]any{
		"Outputs": map[string]any{"res": map[string]any{"body": string(told)}},
		"Logs":    []string{"one line", "another"},
	})
}
