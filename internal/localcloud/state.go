package localcloud

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
)

// stateVersion changes when a State of an older program can't be read.
const stateVersion = 1

// stateKind marks a State.
const stateKind = "acsauth local cloud state"

// ErrState: what Start was to go on from can't be used.
var ErrState = errors.New("the state is damaged or is not a local cloud's")

// State is what a restart goes on from: ports, certificates, keys and all that
// the stand-ins remember. It is full of secrets.
type State struct {
	Kind    string
	Version int

	EntraPort, ACSPort, GraphPort int

	CACertificate, CAKey string // PEM
	APISecret            string
	Entra, ACS, Graph    json.RawMessage
}

// ReadState parses what Export has written. Its errors are ErrState.
func ReadState(text []byte) (*State, error) {
	var s State
	if err := json.Unmarshal(text, &s); err != nil {
		return nil, fmt.Errorf("%w: it is no JSON of the form expected: %w", ErrState, err)
	}
	if s.Kind != stateKind {
		return nil, fmt.Errorf("%w: it does not say that it is", ErrState)
	}
	if s.Version != stateVersion {
		return nil, fmt.Errorf("%w: expected version %d, got %d", ErrState, stateVersion, s.Version)
	}
	return &s, nil
}

// Export returns the state, as JSON.
func (c *Cloud) Export() ([]byte, error) {
	s := State{
		Kind: stateKind, Version: stateVersion, APISecret: c.apiSecret.Reveal(),
		EntraPort: portOf(c.EntraURL), ACSPort: portOf(c.ACSURL), GraphPort: portOf(c.GraphURL),
	}
	var err error
	if s.CACertificate, s.CAKey, err = c.ca.export(); err != nil {
		return nil, err
	}
	if s.Entra, err = c.Entra.Export(); err != nil {
		return nil, fmt.Errorf("state of Entra ID: %w", err)
	}
	if s.ACS, err = c.ACS.Export(); err != nil {
		return nil, fmt.Errorf("state of ACS: %w", err)
	}
	if s.Graph, err = c.Graph.Export(); err != nil {
		return nil, fmt.Errorf("state of Graph: %w", err)
	}
	return json.MarshalIndent(s, "", "  ")
}

// goOn has the stand-ins remember what s says.
func (c *Cloud) goOn(s *State) error {
	if err := errors.Join(c.Entra.Import(s.Entra), c.ACS.Import(s.ACS), c.Graph.Import(s.Graph)); err != nil {
		return fmt.Errorf("%w: %w", ErrState, err)
	}
	return nil
}

func portOf(address string) int {
	u, err := url.Parse(address)
	if err != nil {
		panic(err) // made by this program
	}
	port, _ := strconv.Atoi(u.Port()) // never empty
	return port
}
