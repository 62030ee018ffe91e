package msgraph

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// extensionState is an extension as Export writes it.
type extensionState struct {
	TenantID, ObjectID, Name, Creator string
	Properties                        map[string]any
}

// Export returns all state as JSON. Import reads it.
func (s *Server) Export() ([]byte, error) {
	x := &s.extensions
	x.mu.Lock()
	defer x.mu.Unlock()
	out := []extensionState{}
	for o, named := range x.of {
		for name, e := range named {
			out = append(out, extensionState{o.tenantID, o.objectID, name, e.creator, e.properties})
		}
	}
	return json.Marshal(out)
}

// Import replaces the state by one that Export has returned. On an error nothing
// has changed.
func (s *Server) Import(exported []byte) error {
	var in []extensionState
	d := json.NewDecoder(bytes.NewReader(exported))
	d.UseNumber() // as requests are read
	if err := d.Decode(&in); err != nil {
		return fmt.Errorf("state of Microsoft Graph: %w", err)
	}
	of := map[owner]map[string]*extension{}
	for _, e := range in {
		o := owner{e.TenantID, e.ObjectID}
		if of[o] == nil {
			of[o] = map[string]*extension{}
		}
		of[o][e.Name] = &extension{creator: e.Creator, properties: e.Properties}
	}
	s.extensions.mu.Lock()
	defer s.extensions.mu.Unlock()
	s.extensions.of = of
	return nil
}
