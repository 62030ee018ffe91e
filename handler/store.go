package main

import (
	"context"
	"errors"
	"io"
	"iter"
	"net/http"

	"acsauth/internal/bolt"
	"acsauth/internal/config"
	"acsauth/internal/entra"
	"acsauth/internal/graph"
	"acsauth/internal/identity"
	"acsauth/internal/tables"
)

// store is what keeps the mappings and the notes of erasures.
type store interface {
	identity.Store
	identity.Erasures
}

// place is the table or the file, which also keeps claims.
type place interface {
	store
	identity.Claims
}

func openStore(cfg config.Config, client *http.Client, onBehalfOf *entra.OnBehalfOf, resource string) (store, error) {
	if cfg.Store != config.StoreGraph {
		return openPlace(cfg, client, resource)
	}
	notes, err := openPlace(cfg, client, resource)
	if err != nil {
		return nil, err
	}
	mappings, err := graph.Open(graph.Options{
		Endpoint: cfg.Graph.Endpoint, Extension: cfg.Graph.Extension, Resource: resource, Tokens: onBehalfOf, Claims: notes,
		Keys: cfg.Graph.Keys, AcceptUnsealed: cfg.Graph.AcceptUnsealed, Transport: client,
	})
	if err != nil {
		return nil, errors.Join(err, closeStore(notes))
	}
	return split{mappings, notes}, nil
}

func openPlace(cfg config.Config, client *http.Client, resource string) (place, error) {
	if cfg.Notes == config.StoreLocal {
		return bolt.Open(cfg.LocalPath, resource)
	}
	o := tables.Options{Connection: cfg.Tables.Connection, Endpoint: cfg.Tables.Endpoint, Table: cfg.Tables.Name, Resource: resource, Transport: client}
	if o.Endpoint != "" {
		var err error
		if o.Credential, err = managedIdentity(cfg.Tables.ManagedIdentity, client); err != nil {
			return nil, err
		}
	}
	return tables.Open(o)
}

// split keeps mappings in Graph, and notes of erasures and claims, which no user's
// profile can hold, in another place.
type split struct {
	*graph.Store
	notes place
}

// Record retires the identity as soon as the note says that it has to go: whatever
// becomes of the mapping, its owner included nobody can use it from then on. The
// note is always carried out, for without a call of its user nobody is asked for a
// mapping that might speak against it.
func (s split) Record(ctx context.Context, e identity.Erasure) error {
	if err := s.notes.Record(ctx, e); err != nil {
		return err
	}
	return s.notes.Retire(ctx, e.AcsUserID)
}

func (s split) List(ctx context.Context) iter.Seq2[identity.Erasure, error] {
	return s.notes.List(ctx)
}

// Clear makes up for a Record that was cut short.
func (s split) Clear(ctx context.Context, e identity.Erasure) error {
	if err := s.notes.Retire(ctx, e.AcsUserID); err != nil {
		return err
	}
	return s.notes.Clear(ctx, e)
}

func (s split) Ping(ctx context.Context) error {
	return errors.Join(s.Store.Ping(ctx), s.notes.Ping(ctx))
}

func (s split) Close() error { return closeStore(s.notes) }

func closeStore(s store) error {
	if c, ok := s.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// seals says which mappings in Graph must have a seal.
type seals int

const (
	sealsAll  seals = iota // or there are none in Graph
	sealsSome              // those without are taken too
	sealsNone
)

func sealsOf(cfg config.Config) seals {
	switch {
	case cfg.Store != config.StoreGraph:
		return sealsAll
	case len(cfg.Graph.Keys) == 0:
		return sealsNone
	case cfg.Graph.AcceptUnsealed:
		return sealsSome
	}
	return sealsAll
}

// firstCome is what is left to attack where not all mappings have a seal.
const firstCome = "an identity that a hero sample made is given to the user who calls with it first"
