package ham_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/ham"
)

// aHAM starts HAM for an example, and connects to it.
func aHAM() (c *ham.Client, stop func()) {
	dir, err := os.MkdirTemp("", "ham-example-")
	if err != nil {
		log.Fatal(err)
	}
	run := filepath.Join(dir, "run")
	keeper := again(envKeep + "=" + run)
	if err := keeper.Start(); err != nil {
		log.Fatal(err)
	}
	stop = func() {
		if c != nil {
			_ = c.Close()
		}
		_ = keeper.Process.Signal(unix.SIGTERM)
		_ = keeper.Wait()
		_ = os.RemoveAll(dir)
	}
	for end := time.Now().Add(within); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if c, err = ham.Dial(context.Background(), ham.RunDir(run)); err == nil {
			return c, stop
		}
	}
	stop()
	log.Fatal(err)
	return nil, nil
}

// HAM starts a program, and starts it again when it dies.
func ExampleClient_Declare() {
	c, stop := aHAM()
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	_, err := c.Declare(ctx, ham.Declare{Entity: &ham.Entity{
		Name:     "cache",
		Settings: &ham.Settings{Command: ham.Command{Argv: []string{"sleep", "1000"}}, Start: true},
		Conditions: []ham.Condition{{Name: "death", On: ham.OnDeath, Flags: ham.RearmCondition, Actions: []ham.Action{
			{Name: "restart", Flags: ham.RearmAction, Restart: &ham.Restart{}},
		}}},
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	for h, err := range c.Follow(ctx, 0) {
		if err != nil {
			fmt.Println(err)
			return
		}
		switch h.What {
		case ham.HasAttached:
			fmt.Println(h.Entity, "runs")
			_ = unix.Kill(h.PID, unix.SIGKILL)
		case ham.HasDied:
			fmt.Println(h.Entity, "died of signal", h.Exit.Signal)
		case ham.HasRestarted:
			fmt.Println(h.Entity, "runs again")
			return
		}
	}
	// Output:
	// cache runs
	// cache died of signal 9
	// cache runs again
}

// To watch a process that somebody else has started is one call.
func ExampleClient_Watch() {
	c, stop := aHAM()
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	worker := exec.Command("sleep", "1000")
	if err := worker.Start(); err != nil {
		fmt.Println(err)
		return
	}
	for h, err := range c.Watch(ctx, ham.Attach{Entity: "worker", PID: worker.Process.Pid}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(h.Entity, h.What)
		if h.What == ham.HasDied {
			break
		}
		_ = worker.Process.Kill()
		_ = worker.Wait()
	}
	// Output:
	// worker attached
	// worker ready
	// worker died
}

// A process has itself watched, and beats where it gets work done.
func ExampleClient_AttachSelf() {
	c, stop := aHAM()
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	self, err := c.AttachSelf(ctx, ham.Attach{Entity: "worker", Heartbeat: &ham.Heartbeat{Period: time.Second, Low: 2, High: 4}})
	if err != nil {
		fmt.Println(err)
		return
	}
	for job := range 3 {
		self.Beat()
		fmt.Println("job", job)
	}
	record, _, err := c.Entity(ctx, "worker")
	fmt.Println(record.Kind, record.Pulse.State, err)
	fmt.Println(self.Detach(ctx))
	// Output:
	// job 0
	// job 1
	// job 2
	// ATTACHEDSELF HEALTHY <nil>
	// <nil>
}
