// The servers in Go: net/http alone, and with what the build tags add. Each is told by BENCH_KIND what it is, by BENCH_PORT
// where it listens, by BENCH_DATA what a new session has, and by BENCH_FOLDER where it may keep files.
package main

import (
	"encoding/json"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
)

// Data of a session.
type Data struct {
	User   string   `json:"user"`
	Role   string   `json:"role"`
	Theme  string   `json:"theme"`
	Locale string   `json:"locale"`
	Cart   []string `json:"cart"`
	Count  int      `json:"count"`
	Text   string   `json:"text"`
}

// Site is what a server is told.
type Site struct {
	Data   Data
	Folder string
}

// Subject is how a library deals with a session.
type Subject struct {
	Seed, SignIn, Read, Write, Count func(w http.ResponseWriter, r *http.Request) string
	// Around the whole server; nil for nothing.
	Wrap func(http.Handler) http.Handler
}

// By BENCH_KIND; files with build tags add theirs.
var subjects = map[string]func(Site) Subject{"bare": bare}

func main() {
	site := Site{Folder: os.Getenv("BENCH_FOLDER")}
	if err := json.Unmarshal([]byte(os.Getenv("BENCH_DATA")), &site.Data); err != nil {
		log.Fatal(err)
	}
	kind := os.Getenv("BENCH_KIND")
	start, known := subjects[kind]
	if !known {
		log.Fatalf("nobody knows %q", kind)
	}
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("BENCH_PORT"), handlerOf(start(site))))
}

func handlerOf(subject Subject) http.Handler {
	mux := http.NewServeMux()
	routes := map[string]func(http.ResponseWriter, *http.Request) string{
		"/untouched": func(http.ResponseWriter, *http.Request) string { return "untouched" },
		"/seed":      subject.Seed,
		"/sign-in":   subject.SignIn,
		"/read":      subject.Read,
		"/write":     subject.Write,
		"/count":     subject.Count,
	}
	for path, route := range routes {
		route := route
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, route(w, r))
		})
	}
	if subject.Wrap == nil {
		return mux
	}
	return subject.Wrap(mux)
}

// The texts that are answered.
const (
	seeded  = "seeded"
	welcome = "welcome"
)

func digits(count int) string { return strconv.Itoa(count) }

// Ends the process: the benchmark is over when a library fails.
func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
