package futex

import (
	"os"
	"os/exec"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

const wakerProcess = "TANDEM_FUTEX_WAKER" // makes the test binary change and wake the word at descriptor 3

func TestMain(m *testing.M) {
	if os.Getenv(wakerProcess) != "" {
		word, err := mapWord(3)
		if err != nil {
			os.Exit(2)
		}
		atomic.StoreUint32(word, 1)
		Wake(word, 1)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func mapWord(fd int) (*uint32, error) {
	p, err := unix.MmapPtr(fd, 0, nil, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	return (*uint32)(p), err
}

// newWord returns a word of a memfd, and its descriptor.
func newWord(t *testing.T) (*uint32, int) {
	t.Helper()
	fd, err := unix.MemfdCreate("futex-test", unix.MFD_CLOEXEC)
	require.NoError(t, err)
	t.Cleanup(func() { unix.Close(fd) })
	require.NoError(t, unix.Ftruncate(fd, 4096))
	return mapAgain(t, fd), fd
}

func mapAgain(t *testing.T, fd int) *uint32 {
	t.Helper()
	word, err := mapWord(fd)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, unix.MunmapPtr(unsafe.Pointer(word), 4096)) })
	return word
}

// waitUntil is what every caller of Wait does: it asks its own condition again, whatever Wait returned for.
func waitUntil(word *uint32, want uint32) {
	for {
		seen := atomic.LoadUint32(word)
		if seen == want {
			return
		}
		Wait(word, seen, 0)
	}
}

func TestWaitDoesNotSleepOnAWordThatHasChanged(t *testing.T) {
	t.Parallel()
	word, _ := newWord(t)
	*word = 2
	Wait(word, 1, 0) // would never return
}

func TestWaitReturnsAtTheTimeout(t *testing.T) {
	t.Parallel()
	word, _ := newWord(t)
	Wait(word, 0, time.Millisecond)
	Wait(word, 0, 1) // one nanosecond is a limit too
}

func TestWakeReachesAnotherMapping(t *testing.T) {
	t.Parallel()
	here, fd := newWord(t)
	there := mapAgain(t, fd)
	require.NotSame(t, here, there)
	done := make(chan struct{})
	go func() { defer close(done); waitUntil(there, 1) }()
	atomic.StoreUint32(here, 1)
	Wake(here, 1)
	<-done
}

func TestWakeReachesAnotherProcess(t *testing.T) {
	t.Parallel()
	word, fd := newWord(t)
	dup, err := syscall.Dup(fd)
	require.NoError(t, err)
	f := os.NewFile(uintptr(dup), "word")
	defer f.Close()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env, cmd.ExtraFiles = append(os.Environ(), wakerProcess+"=1"), []*os.File{f}
	require.NoError(t, cmd.Start())
	waitUntil(word, 1)
	require.NoError(t, cmd.Wait())
}

func TestWakeCountsAndLimitsTheWaiters(t *testing.T) {
	t.Parallel()
	word, _ := newWord(t)
	require.Zero(t, Wake(word, 1), "nobody waits")
	const waiters = 3
	done := make(chan struct{}, waiters)
	for range waiters {
		go func() { Wait(word, 0, time.Minute); done <- struct{}{} }()
	}
	woken := 0
	for back := 0; back < waiters; { // they may still be on their way, or a signal may have sent one back
		n := Wake(word, 1)
		require.LessOrEqual(t, n, 1)
		woken += n
		select {
		case <-done:
			back++
		default:
			runtime.Gosched()
		}
	}
	require.LessOrEqual(t, woken, waiters)
	require.Zero(t, Wake(word, 1<<30))
}

func TestAWordInNoMemoryWakesNobody(t *testing.T) {
	t.Parallel()
	require.Zero(t, Wake(nil, 1))
}

func TestWaitAndWakeAllocateNothing(t *testing.T) { // not parallel: it counts the allocations of the process
	var word uint32
	require.Zero(t, testing.AllocsPerRun(100, func() {
		Wait(&word, 1, time.Second)
		Wake(&word, 1)
	}))
}

func BenchmarkWakeNobody(b *testing.B) {
	var word uint32
	for range b.N {
		Wake(&word, 1)
	}
}
