package main

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/1fb4ed1c/tandem/pair"
	"github.com/1fb4ed1c/tandem/tracked"
)

//go:embed page.html
var page []byte

// Bounds of what people may put in.
const (
	maxTodos = 500
	maxText  = 200     // characters of one to-do
	maxBody  = 4 << 10 // bytes of a request
)

// site is the service behind the page. Its state is tracked: it reaches the backup with every response.
type site struct {
	count  *tracked.Counter
	lastID *tracked.Counter
	todos  *tracked.Map[int64, todo]
}

// todo is one thing to be done.
type todo struct {
	ID   int64  `json:"id"`
	Text string `json:"text"`
	Done bool   `json:"done"`
}

// newSite declares the state and returns its handler, as one does for net/http.
func newSite(svc *pair.Service) http.Handler {
	s := &site{pair.Counter(svc, "count"), pair.Counter(svc, "last id"), pair.Map[int64, todo](svc, "todos")}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.page)
	mux.HandleFunc("GET /count", s.getCount)
	mux.HandleFunc("POST /count", s.addToCount)
	mux.HandleFunc("GET /todos", s.list)
	mux.HandleFunc("POST /todos", s.add)
	mux.HandleFunc("PUT /todos/{id}", s.change)
	mux.HandleFunc("DELETE /todos/{id}", s.remove)
	mux.HandleFunc("GET /pid", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, os.Getpid()) })
	return http.NewCrossOriginProtection().Handler(mux) // other sites' pages may not press our buttons
}

func (s *site) page(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'self' 'unsafe-inline'")
	_, _ = w.Write(page)
}

// counted is the counter, and who said so. The process is only told of: no state depends on it.
type counted struct {
	Count int64 `json:"count"`
	PID   int   `json:"pid"`
}

func (s *site) getCount(w http.ResponseWriter, _ *http.Request) {
	reply(w, http.StatusOK, counted{s.count.Get(), os.Getpid()})
}

func (s *site) addToCount(w http.ResponseWriter, _ *http.Request) {
	reply(w, http.StatusOK, counted{s.count.Add(1), os.Getpid()})
}

func (s *site) list(w http.ResponseWriter, _ *http.Request) {
	all := []todo{}
	for _, t := range s.todos.All() {
		all = append(all, t)
	}
	reply(w, http.StatusOK, all)
}

func (s *site) add(w http.ResponseWriter, r *http.Request) {
	var t todo
	if err := read(w, r, &t); err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	if s.todos.Len() >= maxTodos {
		refuse(w, http.StatusConflict, fmt.Errorf("there are %d to-dos already: do some first", maxTodos))
		return
	}
	t.ID = s.lastID.Add(1)
	s.todos.Set(t.ID, t)
	reply(w, http.StatusCreated, t)
}

func (s *site) change(w http.ResponseWriter, r *http.Request) {
	t, ok := s.find(w, r)
	if !ok {
		return
	}
	id := t.ID
	if err := read(w, r, &t); err != nil { // what is not said stays
		refuse(w, http.StatusBadRequest, err)
		return
	}
	t.ID = id
	s.todos.Set(id, t)
	reply(w, http.StatusOK, t)
}

func (s *site) remove(w http.ResponseWriter, r *http.Request) {
	if t, ok := s.find(w, r); ok {
		s.todos.Delete(t.ID)
		w.WriteHeader(http.StatusNoContent)
	}
}

// find returns the to-do that a request is about, or refuses the request.
func (s *site) find(w http.ResponseWriter, r *http.Request) (t todo, ok bool) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err == nil {
		t, ok = s.todos.Lookup(id)
	}
	if !ok {
		refuse(w, http.StatusNotFound, fmt.Errorf("there is no to-do %s", r.PathValue("id")))
	}
	return t, ok
}

// read reads a to-do over t.
func read(w http.ResponseWriter, r *http.Request, t *todo) error {
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(t); err != nil {
		return fmt.Errorf(`cannot read the to-do, expected JSON such as {"text": "buy milk"}: %w`, err)
	}
	t.Text = strings.TrimSpace(t.Text)
	switch n := utf8.RuneCountInString(t.Text); {
	case n == 0:
		return errors.New("a to-do needs a text")
	case n > maxText:
		return fmt.Errorf("a text of %d characters, expected at most %d", n, maxText)
	}
	return nil
}

func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // an error would be the connection's
}

// refuse says why not.
func refuse(w http.ResponseWriter, status int, err error) {
	reply(w, status, map[string]string{"error": err.Error()})
}
