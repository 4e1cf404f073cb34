package checkpoint

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	writerSeed  = "TANDEM_CHECKPOINT_WRITER" // makes the test binary a writer of the log at descriptor 3
	exitSealed  = 17
	batchHeader = 16 // of a payload here: batch uint64, records in the batch uint32, this one's place uint32
)

// acked is where the writer process notes, after each Commit, the last record that is safe: what a requester would know.
func acked(s *Segment) *atomic.Uint64 { return (*atomic.Uint64)(s.OwnerPage()) }

// writerProcess appends random batches for ever.
func writerProcess(seed string) int {
	n, err := strconv.ParseUint(seed, 10, 64)
	if err != nil {
		return 2
	}
	s, err := Open(3)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 3
	}
	w, rnd := s.Writer(nil), rand.New(rand.NewPCG(n, 0))
	for batch := uint64(1); ; batch++ {
		err := appendBatch(w, rnd, batch)
		switch {
		case errors.Is(err, ErrSealed):
			return exitSealed
		case err != nil:
			fmt.Fprintln(os.Stderr, err)
			return 4
		}
		acked(s).Store(w.Seq())
	}
}

func appendBatch(w *Writer, rnd *rand.Rand, batch uint64) error {
	count := 1 + rnd.IntN(6)
	for i := range count {
		n := batchHeader + rnd.IntN(1500)
		p, err := w.Reserve(Kind(1+n%255), n)
		if errors.Is(err, ErrFull) { // start the batch over, it may be short
			w.Discard()
			if err := w.WaitFree(8<<10, 10*time.Second); err != nil {
				return err
			}
			return appendBatch(w, rnd, batch)
		}
		if err != nil {
			return err
		}
		binary.LittleEndian.PutUint64(p, batch)
		binary.LittleEndian.PutUint32(p[8:], uint32(count))
		binary.LittleEndian.PutUint32(p[12:], uint32(i))
		fill(p[batchHeader:], batch+uint64(i))
	}
	return w.Commit()
}

// batchChecker demands whole batches, in order, without a gap.
type batchChecker struct{ batch, count, next uint64 }

func (c *batchChecker) check(t tester, rec Record) {
	t.Helper()
	require.GreaterOrEqual(t, len(rec.Payload), batchHeader)
	batch := binary.LittleEndian.Uint64(rec.Payload)
	count, place := binary.LittleEndian.Uint32(rec.Payload[8:]), binary.LittleEndian.Uint32(rec.Payload[12:])
	if c.next == c.count {
		*c = batchChecker{batch: c.batch + 1, count: uint64(count)}
	}
	require.Equal(t, c.batch, batch, "a batch is missing")
	require.Equal(t, c.count, uint64(count))
	require.Equal(t, c.next, uint64(place), "a record of batch %d is missing", batch)
	require.Equal(t, Kind(1+len(rec.Payload)%255), rec.Kind)
	verify(t, rec.Payload[batchHeader:], batch+uint64(place))
	c.next++
}

// next spins until the living writer has committed a record.
func next(t tester, r *RingReader) Record {
	t.Helper()
	for {
		rec, err := r.Next()
		if err == nil {
			return rec
		}
		require.ErrorIs(t, err, io.EOF)
		runtime.Gosched()
	}
}

func TestRecordsAreWholeOrAbsentWhenTheWriterIsKilled(t *testing.T) {
	t.Parallel()
	rounds := 40
	if testing.Short() {
		rounds = 8
	}
	for round := range rounds {
		killRound(t, uint64(time.Now().UnixNano()), round%4 == 3)
	}
}

// killRound lets a process write, kills it somewhere in the middle of it, and looks at what is left. A sealFirst
// round seals the log under the writer's hands instead, which must then end by itself.
func killRound(t *testing.T, seed uint64, sealFirst bool) {
	t.Helper()
	rnd := rand.New(rand.NewPCG(seed, 1))
	s := newLog(t, MinSize<<rnd.IntN(3))
	r, c := s.Reader(), batchChecker{}
	cmd := startWriter(t, s, seed)
	for range rnd.IntN(3000) {
		c.check(t, next(t, r))
		if rnd.IntN(8) == 0 {
			r.Release()
		}
		if r.Unread() == 0 && distance(r.released, r.pos) > r.size/2 {
			r.Release() // or the writer would wait for us and we for it
		}
	}
	if sealFirst {
		_, err := r.Seal()
		require.NoError(t, err)
		require.Error(t, cmd.Wait())
		require.Equal(t, exitSealed, cmd.ProcessState.ExitCode(), "seed %d: a writer that lost the swap must learn it", seed)
	} else {
		require.NoError(t, cmd.Process.Signal(syscall.SIGKILL))
		require.Error(t, cmd.Wait())
	}
	epoch, err := r.Seal()
	require.NoError(t, err)
	require.Equal(t, uint32(8), epoch)
	safe := acked(s).Load()
	for {
		rec, err := r.Next()
		if err == io.EOF {
			break
		}
		require.NoError(t, err, "seed %d", seed)
		c.check(t, rec)
	}
	require.Equal(t, c.count, c.next, "seed %d: batch %d is torn", seed, c.batch)
	require.GreaterOrEqual(t, r.seq-1, safe, "seed %d: a record whose append had returned is lost", seed)
}

func startWriter(t *testing.T, s *Segment, seed uint64) *exec.Cmd {
	t.Helper()
	fd, err := syscall.Dup(s.FD())
	require.NoError(t, err)
	f := os.NewFile(uintptr(fd), "log")
	defer f.Close()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), writerSeed+"="+strconv.FormatUint(seed, 10))
	cmd.ExtraFiles, cmd.Stderr = []*os.File{f}, os.Stderr
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { // only a failed round leaves one
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	})
	return cmd
}
