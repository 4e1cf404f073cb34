package ham

import "github.com/1fb4ed1c/tandem/ham/core"

// Condition types: the ten of QNX, and five of ours. See package core for what each waits for.
const (
	OnAny                 = core.OnAny
	OnDeath               = core.OnDeath
	OnAbnormalDeath       = core.OnAbnormalDeath
	OnDetach              = core.OnDetach
	OnAttach              = core.OnAttach
	OnRestart             = core.OnRestart
	OnHeartbeatMissedLow  = core.OnHeartbeatMissedLow
	OnHeartbeatMissedHigh = core.OnHeartbeatMissedHigh
	OnState               = core.OnState
	OnRaise               = core.OnRaise
	OnGaveUp              = core.OnGaveUp
	OnHeartbeatRecovered  = core.OnHeartbeatRecovered
	OnActionFailed        = core.OnActionFailed
	OnTakeover            = core.OnTakeover
	OnResourceExceeded    = core.OnResourceExceeded
)

// Flags of entities, conditions and actions.
const (
	KeepOnDeath    = core.KeepOnDeath
	RearmCondition = core.RearmCondition
	NoWait         = core.NoWait
	Independent    = core.Independent
	KeepOnEmpty    = core.KeepOnEmpty
	RearmAction    = core.RearmAction
	OneShot        = core.OneShot
	DoNow          = core.DoNow
	BreakOnFail    = core.BreakOnFail
	KeepOnFail     = core.KeepOnFail
)

// Deliveries of an action whose outcome was lost with the process that was HAM.
const (
	AsKind      = core.AsKind
	AtMostOnce  = core.AtMostOnce
	AtLeastOnce = core.AtLeastOnce
)

// Control verbs.
const (
	Enable         = core.Enable
	Disable        = core.Disable
	AddFlags       = core.AddFlags
	RemoveFlags    = core.RemoveFlags
	SetFlags       = core.SetFlags
	GetFlags       = core.GetFlags
	VerbositySet   = core.VerbositySet
	VerbosityIncr  = core.VerbosityIncr
	VerbosityDecr  = core.VerbosityDecr
	VerbosityGet   = core.VerbosityGet
	StartProcess   = core.StartProcess
	StopProcess    = core.StopProcess
	RestartProcess = core.RestartProcess
	StopAll        = core.StopAll
)

// What happens.
const (
	HasAttached   = core.HasAttached
	HasDetached   = core.HasDetached
	HasDied       = core.HasDied
	HasRestarted  = core.HasRestarted
	HasDelayed    = core.HasDelayed
	HasGivenUp    = core.HasGivenUp
	HasStopped    = core.HasStopped
	HasMissedLow  = core.HasMissedLow
	HasMissedHigh = core.HasMissedHigh
	HasRecovered  = core.HasRecovered
	HasBeenReady  = core.HasBeenReady
	HasEntered    = core.HasEntered
	HasRaised     = core.HasRaised
	HasFired      = core.HasFired
	HasDone       = core.HasDone
	HasFailed     = core.HasFailed
	HasExceeded   = core.HasExceeded
	HasTakenOver  = core.HasTakenOver
	HasSwitched   = core.HasSwitched
	HasBeenLate   = core.HasBeenLate
	HasChanged    = core.HasChanged
	HasSaid       = core.HasSaid
)

// The kinds of entities.
const (
	Placeholder  = core.Placeholder
	Attached     = core.Attached
	SelfAttached = core.SelfAttached
	GlobalEntity = core.GlobalEntity
)

// The phases of the process of an entity.
const (
	Idle     = core.Idle
	Dead     = core.Dead
	Waiting  = core.Waiting
	Delayed  = core.Delayed
	Starting = core.Starting
	Running  = core.Running
	Stopping = core.Stopping
	Stopped  = core.Stopped
	Failed   = core.Failed
)

// What is known of a heartbeat.
const (
	Unwatched  = core.Unwatched
	Beating    = core.Beating
	MissedLow  = core.MissedLow
	MissedHigh = core.MissedHigh
)

const (
	Global    = core.Global    // the name of the entity that stands for every entity
	Unlimited = core.Unlimited // of a Limit: none
)
