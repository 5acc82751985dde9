package main

import (
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"sync/atomic"
)

// No sessions.
func bare(site Site) Subject {
	count := int64(site.Data.Count)
	start := func(w http.ResponseWriter, answer string) string {
		id := make([]byte, 32)
		_, err := rand.Read(id)
		must(err)
		http.SetCookie(w, &http.Cookie{Name: "bench", Value: base64.RawURLEncoding.EncodeToString(id), Path: "/"})
		return answer
	}
	return Subject{
		Seed:   func(w http.ResponseWriter, _ *http.Request) string { return start(w, seeded) },
		SignIn: func(w http.ResponseWriter, _ *http.Request) string { return start(w, welcome) },
		Read:   func(http.ResponseWriter, *http.Request) string { return site.Data.User },
		Write:  func(http.ResponseWriter, *http.Request) string { return digits(int(atomic.AddInt64(&count, 1))) },
		Count:  func(http.ResponseWriter, *http.Request) string { return digits(int(atomic.LoadInt64(&count))) },
	}
}
