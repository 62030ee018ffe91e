package main

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"
)

// yardstick is the CPU time of what no implementation can do without: to verify
// one RSA signature, and to make one request over TLS.
type yardstick struct{ RSAVerify, TLSRequest time.Duration }

// yardstick takes it in a process of its own, so that the stand-in's side of the
// request does not count.
func (b *bench) yardstick(ctx context.Context, r *report) error {
	b.up.behave(0, quota{})
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, exe)
	cmd.Env = append(environment(), "SSL_CERT_FILE="+b.up.CACertFile, yardstickOf+"="+b.up.ACSURL+" "+b.size.yardstick.String())
	cmd.Stderr = b.progress
	out, err := cmd.Output()
	if err != nil {
		return err
	}
	return json.Unmarshal(out, &r.Yardstick)
}

// yardstickOf is the variable that makes this program a yardstick: of which ACS,
// and for how long.
const yardstickOf = "ACSAUTH_BENCH_YARDSTICK_OF"

func printYardstick(of string) error {
	acsURL, text, _ := strings.Cut(of, " ")
	lasting, err := time.ParseDuration(text)
	if err != nil {
		return err
	}
	var y yardstick
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	digest := sha256.Sum256([]byte("a token"))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])
	if err != nil {
		return err
	}
	y.RSAVerify, err = cpuTime(lasting, func() error {
		return rsa.VerifyPKCS1v15(&key.PublicKey, crypto.SHA256, digest[:], signature)
	})
	if err != nil {
		return err
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}}
	y.TLSRequest, err = cpuTime(lasting, func() error {
		resp, err := client.Post(acsURL+"/identities/8:acs:x_y/:issueAccessToken?api-version=2026-09-23", "application/json",
			strings.NewReader(`{"scopes":["chat","voip"]}`))
		if err != nil {
			return err
		}
		defer func() { _ = resp.Body.Close() }()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("the stand-in answered %d", resp.StatusCode)
		}
		_, err = io.Copy(io.Discard, resp.Body)
		return err
	})
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(y)
}

// cpuTime is what one run of work takes of this process's CPU time.
func cpuTime(lasting time.Duration, work func() error) (time.Duration, error) {
	before, err := usageOf("self")
	if err != nil {
		return 0, err
	}
	var runs time.Duration
	for began := time.Now(); runs == 0 || time.Since(began) < lasting; runs++ {
		if err := work(); err != nil {
			return 0, err
		}
	}
	after, err := usageOf("self")
	return (after.cpu - before.cpu) / runs, err
}
