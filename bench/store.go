package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"acsauth/internal/identity"
	"acsauth/internal/localcloud/wire"
)

// fill writes mappings in the form that package bolt reads, many to a
// transaction: one for each would take an hour for a million. found tells whether
// the form is the right one.
func fill(path, resource string, known []identity.User) error {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{NoSync: true})
	if err != nil {
		return err
	}
	// In the order of the keys, or bbolt would rewrite page after page.
	users := slices.Clone(known)
	slices.SortFunc(users, func(a, b identity.User) int { return slices.Compare([]byte(a.Key()), []byte(b.Key())) })
	const atOnce = 10_000
	for batch := range slices.Chunk(users, atOnce) {
		err = db.Update(func(tx *bbolt.Tx) error {
			bucket, err := tx.CreateBucketIfNotExists([]byte("mappings"))
			if err != nil {
				return err
			}
			bucket.FillPercent = 0.9
			for _, user := range batch {
				version, err := bucket.NextSequence()
				if err != nil {
					return err
				}
				value, err := json.Marshal(map[string]any{"acsUserId": "8:acs:" + wire.NewGUID() + "_" + wire.NewGUID(),
					"createdAt": time.Now().UTC().Truncate(time.Second), "version": version})
				if err != nil {
					return err
				}
				if err := bucket.Put([]byte(user.Key()+"|"+resource), value); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			break
		}
	}
	return errors.Join(err, db.Close())
}

// found reports an error unless the handler has a mapping for the user already.
func found(p *process, token string) error {
	c, err := dial(p.address)
	if err != nil {
		return err
	}
	defer c.close()
	status, err := c.call("/api/getUser", token)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("the mappings written are not those that the handler reads: getUser answered %d", status)
	}
	return err
}
