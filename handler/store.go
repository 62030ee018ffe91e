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

func openStore(cfg config.Config, client *http.Client, onBehalfOf *entra.OnBehalfOf, resource string) (store, error) {
	if cfg.Store != config.StoreGraph {
		return openPlace(cfg, client, resource)
	}
	mappings, err := graph.Open(graph.Options{
		Endpoint: cfg.Graph.Endpoint, Extension: cfg.Graph.Extension, Resource: resource, Tokens: onBehalfOf,
		Keys: cfg.Graph.Keys, AcceptUnsealed: cfg.Graph.AcceptUnsealed, Transport: client,
	})
	if err != nil {
		return nil, err
	}
	notes, err := openPlace(cfg, client, resource)
	if err != nil {
		return nil, err
	}
	return split{mappings, notes}, nil
}

// openPlace opens the table or the file.
func openPlace(cfg config.Config, client *http.Client, resource string) (store, error) {
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

// split keeps mappings in Graph and the notes of erasures, which no user's
// profile can hold, in another place.
type split struct {
	*graph.Store
	notes store
}

func (s split) Record(ctx context.Context, e identity.Erasure) error { return s.notes.Record(ctx, e) }
func (s split) Clear(ctx context.Context, e identity.Erasure) error  { return s.notes.Clear(ctx, e) }
func (s split) List(ctx context.Context) iter.Seq2[identity.Erasure, error] {
	return s.notes.List(ctx)
}

func (s split) Ping(ctx context.Context) error {
	return errors.Join(s.Store.Ping(ctx), s.notes.Ping(ctx))
}

func (s split) Close() error {
	if c, ok := s.notes.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// unsealed: what users can write into their own profiles is taken as it is.
func unsealed(cfg config.Config) bool {
	return cfg.Store == config.StoreGraph && (len(cfg.Graph.Keys) == 0 || cfg.Graph.AcceptUnsealed)
}
