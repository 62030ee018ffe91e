package funchost

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/http"
)

// forge adds what a client would send to pass for the platform, or for somebody
// whom the platform has signed in.
func forge(header http.Header) {
	for name, value := range map[string]string{
		headerInvocationID:          "00000000-0000-4000-8000-00000000f00d",
		headerHostVersion:           "0.0.0.0",
		"X-Ms-Invocation-Id":        "00000000-0000-4000-8000-00000000f00d",
		"X-Forwarded-For":           "192.0.2.66",
		"X-Forwarded-Host":          "forged.example",
		"X-Forwarded-Proto":         "https",
		"X-Forwarded-Prefix":        "/forged",
		"Forwarded":                 "for=192.0.2.66;host=forged.example;proto=https",
		"X-Ms-Client-Principal":     "eyJhdXRoX3R5cCI6ImZvcmdlZCIsImNsYWltcyI6W119",
		"X-Ms-Client-Principal-Id":  "00000000-0000-4000-8000-00000000beef",
		"X-Ms-Client-Principal-Idp": "aad",
	} {
		header.Add(name, value)
	}
}

// newGUID returns a random GUID, version 4.
func newGUID() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// newTraceparent is that of a trace that nobody samples.
func newTraceparent() string {
	b := make([]byte, 24)
	_, _ = rand.Read(b) // never fails
	return "00-" + hex.EncodeToString(b[:16]) + "-" + hex.EncodeToString(b[16:]) + "-00"
}
