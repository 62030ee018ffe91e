package faulttest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"
	"go.etcd.io/bbolt"
)

// storeReader looks into a store from behind, past the code that is tested.
type storeReader interface {
	read() (contents, error)
}

// contents are what a store has.
type contents struct {
	mappings map[string][]string // identities by user
	erasing  []string            // identities whose mapping is marked
	notes    []string            // identities that are to be deleted
}

func newContents() contents {
	return contents{mappings: map[string][]string{}}
}

func (c *contents) add(user, id string, erasing bool) {
	c.mappings[user] = append(c.mappings[user], id)
	if erasing {
		c.erasing = append(c.erasing, id)
	}
}

type tableReader struct{ connection, table string }

func (r tableReader) read() (contents, error) {
	c := newContents()
	service, err := aztables.NewServiceClientFromConnectionString(r.connection, nil)
	if err != nil {
		return c, err
	}
	pager := service.NewClient(r.table).NewListEntitiesPager(nil)
	for pager.More() {
		page, err := pager.NextPage(context.Background())
		if answer := (*azcore.ResponseError)(nil); errors.As(err, &answer) && answer.ErrorCode == string(aztables.TableNotFound) {
			return c, nil // nothing has been written yet
		}
		if err != nil {
			return c, err
		}
		for _, data := range page.Entities {
			var row struct {
				PartitionKey, RowKey, AcsUserID string
				Erasing                         bool
			}
			if err := json.Unmarshal(data, &row); err != nil {
				return c, err
			}
			if strings.HasPrefix(row.PartitionKey, "erasures") {
				_, id, _ := strings.Cut(row.RowKey, "|")
				c.notes = append(c.notes, id)
				continue
			}
			c.add(row.PartitionKey, row.AcsUserID, row.Erasing)
		}
	}
	return c, nil
}

// fileReader needs the handler to be stopped.
type fileReader struct{ path string }

func (r fileReader) read() (contents, error) {
	c := newContents()
	if _, err := os.Stat(r.path); err != nil {
		return c, err
	}
	db, err := bbolt.Open(r.path, 0o600, &bbolt.Options{ReadOnly: true, Timeout: 10 * time.Second})
	if err != nil {
		return c, err
	}
	defer func() { _ = db.Close() }()
	err = db.View(func(tx *bbolt.Tx) error {
		err := tx.Bucket([]byte("mappings")).ForEach(func(k, v []byte) error {
			var row struct {
				AcsUserID string
				Erasing   bool
			}
			user, _, _ := bytes.Cut(k, []byte("|"))
			if err := json.Unmarshal(v, &row); err != nil {
				return fmt.Errorf("%s: %w", k, err)
			}
			c.add(string(user), row.AcsUserID, row.Erasing)
			return nil
		})
		if err != nil {
			return err
		}
		return tx.Bucket([]byte("erasures")).ForEach(func(k, _ []byte) error {
			_, id, _ := bytes.Cut(k, []byte("|"))
			c.notes = append(c.notes, string(id))
			return nil
		})
	})
	return c, err
}
