// Package acsauth is a trusted authentication service for Azure Communication
// Services (ACS), run as an Azure Functions custom handler. The program is in
// folder handler, the way to try it offline in folder local.
//
// This package only holds the app folder's files, so that the program knows its
// routes also where it runs without them, in a container or under `go run`.
package acsauth

import "embed"

// AppFolder has host.json and the function.json of each function, as they were
// when the program was built.
//
//go:embed host.json */function.json
var AppFolder embed.FS
