//go:build scs

package main

import (
	"encoding/gob"
	"net/http"

	"github.com/alexedwards/scs/v2"
)

func init() { subjects["scs"] = withScs }

// scs as its documentation says: in memory, a middleware around the server.
func withScs(site Site) Subject {
	gob.Register([]string{})
	manager := scs.New()
	start := func(r *http.Request, answer string) string {
		ctx := r.Context()
		manager.Put(ctx, "user", site.Data.User)
		manager.Put(ctx, "role", site.Data.Role)
		manager.Put(ctx, "theme", site.Data.Theme)
		manager.Put(ctx, "locale", site.Data.Locale)
		manager.Put(ctx, "cart", site.Data.Cart)
		manager.Put(ctx, "count", site.Data.Count)
		if site.Data.Text != "" {
			manager.Put(ctx, "text", site.Data.Text)
		}
		return answer
	}
	return Subject{
		Wrap: manager.LoadAndSave,
		Seed: func(_ http.ResponseWriter, r *http.Request) string { return start(r, seeded) },
		SignIn: func(_ http.ResponseWriter, r *http.Request) string {
			must(manager.RenewToken(r.Context()))
			return start(r, welcome)
		},
		Read: func(_ http.ResponseWriter, r *http.Request) string { return manager.GetString(r.Context(), "user") },
		Write: func(_ http.ResponseWriter, r *http.Request) string {
			count := manager.GetInt(r.Context(), "count") + 1
			manager.Put(r.Context(), "count", count)
			return digits(count)
		},
		Count: func(_ http.ResponseWriter, r *http.Request) string { return digits(manager.GetInt(r.Context(), "count")) },
	}
}
