package tree

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/ham/core"
)

// conditionTypes are the names of QNX, and of ours where it has none.
var conditionTypes = [...]string{
	core.OnAny: "CONDANY", core.OnDeath: "CONDDEATH", core.OnAbnormalDeath: "CONDABNORMALDEATH", core.OnDetach: "CONDDETACH", core.OnAttach: "CONDATTACH",
	core.OnRestart: "CONDRESTART", core.OnHeartbeatMissedLow: "CONDHBEATMISSEDLOW", core.OnHeartbeatMissedHigh: "CONDHBEATMISSEDHIGH",
	core.OnState: "CONDSTATE", core.OnRaise: "CONDRAISE", core.OnGaveUp: "CONDGAVEUP", core.OnHeartbeatRecovered: "CONDHBEATRECOVERED",
	core.OnActionFailed: "CONDACTIONFAILED", core.OnTakeover: "CONDTAKEOVER", core.OnResourceExceeded: "CONDRESOURCEEXCEEDED",
}

func conditionType(t core.ConditionType) string {
	if int(t) < len(conditionTypes) && conditionTypes[t] != "" {
		return conditionTypes[t]
	}
	return t.String()
}

// The words of the flags, as QNX has them without their prefix. That a condition or an action is re-armed has a field of its own.

func entityFlags(f core.EntityFlags) []string {
	return wordsOf(uint32(f), map[uint32]string{uint32(core.KeepOnDeath): "KEEPONDEATH"})
}

func conditionFlags(f core.ConditionFlags) []string {
	return wordsOf(uint32(f&^core.RearmCondition), map[uint32]string{uint32(core.NoWait): "NOWAIT", uint32(core.Independent): "INDEPENDENT", uint32(core.KeepOnEmpty): "KEEPONEMPTY"})
}

func actionFlags(f core.ActionFlags) []string {
	return wordsOf(uint32(f&^core.RearmAction), map[uint32]string{
		uint32(core.OneShot): "ONESHOT", uint32(core.DoNow): "DONOW", uint32(core.BreakOnFail): "BREAKONFAIL", uint32(core.KeepOnFail): "KEEPONFAIL"})
}

// wordsOf returns the words of the bits in f, from the lowest.
func wordsOf(f uint32, names map[uint32]string) (words []string) {
	for bit := uint32(1); f != 0; bit <<= 1 {
		if f&bit != 0 {
			word, ok := names[bit]
			if !ok {
				word = fmt.Sprintf("%#x", bit)
			}
			words = append(words, word)
			f &^= bit
		}
	}
	return words
}

func signalName(n int) string {
	if name := unix.SignalName(syscall.Signal(n)); name != "" {
		return name
	}
	return fmt.Sprintf("signal %d", n)
}
