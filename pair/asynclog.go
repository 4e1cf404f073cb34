package pair

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// asyncHandler hands log records to another handler from a goroutine of its own. A log that blocks (a full pipe behind
// stderr, say) delays nobody: what does not fit is counted and dropped.
type asyncHandler struct {
	next  slog.Handler
	queue *logQueue
}

type logQueue struct {
	records chan logRecord
	stop    chan struct{}
	stopped sync.Once
	done    chan struct{}
	dropped atomic.Uint64
}

type logRecord struct {
	to   slog.Handler
	rec  slog.Record
	mark chan struct{} // not nil: it is no record, but closed when those before it have been handled
}

const (
	logQueueLen  = 256
	logDrainTime = 100 * time.Millisecond // what a closing member waits for its log
)

func newAsyncHandler(next slog.Handler) *asyncHandler {
	q := &logQueue{records: make(chan logRecord, logQueueLen), stop: make(chan struct{}), done: make(chan struct{})}
	go q.run(next)
	return &asyncHandler{next: next, queue: q}
}

func (q *logQueue) run(own slog.Handler) {
	defer close(q.done)
	for {
		select {
		case r := <-q.records:
			q.handle(r, own)
			continue
		case <-q.stop:
		}
		for len(q.records) > 0 {
			q.handle(<-q.records, own)
		}
		return
	}
}

func (q *logQueue) handle(r logRecord, own slog.Handler) {
	if r.mark != nil {
		close(r.mark)
		return
	}
	_ = r.to.Handle(context.Background(), r.rec)
	if n := q.dropped.Swap(0); n > 0 {
		rec := slog.NewRecord(time.Now(), slog.LevelWarn, "log records dropped: the log is too slow", 0)
		rec.AddAttrs(slog.Uint64("dropped", n))
		_ = own.Handle(context.Background(), rec)
	}
}

func (h *asyncHandler) logger() *slog.Logger { return slog.New(h) }

// flush waits a little for what is queued.
func (h *asyncHandler) flush() {
	mark := make(chan struct{})
	late := time.After(logDrainTime)
	select {
	case h.queue.records <- logRecord{mark: mark}:
	case <-late:
		return
	}
	select {
	case <-mark:
	case <-late:
	}
}

// close waits a little for what is queued. A log that blocks is left behind.
func (h *asyncHandler) close() {
	h.queue.stopped.Do(func() { close(h.queue.stop) })
	select {
	case <-h.queue.done:
	case <-time.After(logDrainTime):
	}
}

// Enabled implements slog.Handler.
func (h *asyncHandler) Enabled(ctx context.Context, l slog.Level) bool { return h.next.Enabled(ctx, l) }

// Handle implements slog.Handler.
func (h *asyncHandler) Handle(_ context.Context, r slog.Record) error {
	select {
	case h.queue.records <- logRecord{to: h.next, rec: r.Clone()}:
	default:
		h.queue.dropped.Add(1)
	}
	return nil
}

// WithAttrs implements slog.Handler.
func (h *asyncHandler) WithAttrs(a []slog.Attr) slog.Handler {
	return &asyncHandler{h.next.WithAttrs(a), h.queue}
}

// WithGroup implements slog.Handler.
func (h *asyncHandler) WithGroup(name string) slog.Handler {
	return &asyncHandler{h.next.WithGroup(name), h.queue}
}

var _ slog.Handler = (*asyncHandler)(nil)
