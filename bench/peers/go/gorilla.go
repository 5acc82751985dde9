//go:build gorilla

package main

import (
	"crypto/rand"
	"encoding/gob"
	"net/http"

	"github.com/gorilla/sessions"
)

func init() {
	subjects["gorilla-cookie"] = func(site Site) Subject {
		return withGorilla(site, sessions.NewCookieStore(key()))
	}
	subjects["gorilla-files"] = func(site Site) Subject {
		store := sessions.NewFilesystemStore(site.Folder, key())
		// The least that takes every session of the benchmark.
		store.MaxLength(1 << 20)
		return withGorilla(site, store)
	}
}

func key() []byte {
	bytes := make([]byte, 32)
	_, err := rand.Read(bytes)
	must(err)
	return bytes
}

// gorilla/sessions as its documentation says, with a key that signs.
func withGorilla(site Site, store sessions.Store) Subject {
	gob.Register([]string{})
	of := func(r *http.Request) *sessions.Session {
		session, err := store.Get(r, "bench")
		must(err)
		return session
	}
	start := func(w http.ResponseWriter, r *http.Request, answer string) string {
		session := of(r)
		session.Values["user"] = site.Data.User
		session.Values["role"] = site.Data.Role
		session.Values["theme"] = site.Data.Theme
		session.Values["locale"] = site.Data.Locale
		session.Values["cart"] = site.Data.Cart
		session.Values["count"] = site.Data.Count
		if site.Data.Text != "" {
			session.Values["text"] = site.Data.Text
		}
		must(session.Save(r, w))
		return answer
	}
	return Subject{
		Seed:   func(w http.ResponseWriter, r *http.Request) string { return start(w, r, seeded) },
		SignIn: func(w http.ResponseWriter, r *http.Request) string { return start(w, r, welcome) },
		Read: func(_ http.ResponseWriter, r *http.Request) string {
			user, _ := of(r).Values["user"].(string)
			return user
		},
		Write: func(w http.ResponseWriter, r *http.Request) string {
			session := of(r)
			count, _ := session.Values["count"].(int)
			session.Values["count"] = count + 1
			must(session.Save(r, w))
			return digits(count + 1)
		},
		Count: func(_ http.ResponseWriter, r *http.Request) string {
			count, _ := of(r).Values["count"].(int)
			return digits(count)
		},
	}
}
