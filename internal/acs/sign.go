package acs

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"acsauth/internal/secret"
)

// keyPolicy signs each try with the resource's access key:
// https://learn.microsoft.com/rest/api/communication/authentication
type keyPolicy struct {
	key secret.String // decoded
	now func() time.Time
}

func newKeyPolicy(accessKey secret.String, now func() time.Time) (*keyPolicy, error) {
	key, err := base64.StdEncoding.DecodeString(accessKey.Reveal())
	if err != nil || len(key) == 0 {
		return nil, errors.New("access key is not base64")
	}
	return &keyPolicy{secret.New(string(key)), now}, nil
}

// Do implements policy.Policy.
func (p *keyPolicy) Do(req *policy.Request) (*http.Response, error) {
	var content []byte
	if body := req.Body(); body != nil {
		content = make([]byte, req.Raw().ContentLength)
		if _, err := io.ReadFull(body, content); err != nil {
			return nil, err
		}
		if err := req.RewindBody(); err != nil {
			return nil, err
		}
	}
	hash := sha256.Sum256(content)
	p.sign(req.Raw(), base64.StdEncoding.EncodeToString(hash[:]))
	return req.Next()
}

// sign covers the request target and the host just as they go over the wire.
func (p *keyPolicy) sign(r *http.Request, contentHash string) {
	host := r.Host
	if host == "" {
		host = r.URL.Host
	}
	date := p.now().UTC().Format(http.TimeFormat)
	mac := hmac.New(sha256.New, []byte(p.key.Reveal()))
	_, _ = io.WriteString(mac, r.Method+"\n"+r.URL.RequestURI()+"\n"+date+";"+host+";"+contentHash)
	r.Header.Set("X-Ms-Date", date)
	r.Header.Set("X-Ms-Content-Sha256", contentHash)
	r.Header.Set("Authorization", "HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature="+
		base64.StdEncoding.EncodeToString(mac.Sum(nil)))
}
