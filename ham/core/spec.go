package core

import "time"

// What users declare: entities, their conditions, the actions of these. Package ham gives these types out as its own; a
// configuration file fills them in. Times are time.Duration; msgpack and JSON carry nanoseconds.

// EntitySpec declares an entity: by itself a placeholder, until a process is attached or started under its name.
type EntitySpec struct {
	Name       string          `json:"name"`
	Flags      EntityFlags     `json:"flags,omitempty"`
	Settings   *Settings       `json:"settings,omitempty"` // nil: leave those it has
	Conditions []ConditionSpec `json:"conditions,omitempty"`
}

// Settings say how an entity is run and watched. The zero value is an entity that is attached from outside and watched
// for its death only.
type Settings struct {
	Command   Command       `json:"command"`             // how HAM starts it; without Argv it cannot
	Start     bool          `json:"start,omitempty"`     // start it as soon as it is declared and its dependencies are ready
	Pair      string        `json:"pair,omitempty"`      // name of the process pair that the command runs as: its death is that of both members
	Heartbeat Heartbeat     `json:"heartbeat"`           // zero: it promises none
	Ready     Readiness     `json:"ready"`               // when those that depend on it may start
	After     []Dependency  `json:"after,omitempty"`     // what must be ready before it is started
	Restart   Budget        `json:"restart"`             // how often it is restarted
	Stop      []KillStep    `json:"stop,omitempty"`      // how it is stopped; none: DefaultStop
	Sample    time.Duration `json:"sample,omitempty"`    // how often its resources are read; 0: DefaultSample if a condition asks for them
	OnlySelf  bool          `json:"only_self,omitempty"` // signals of Stop go to the process alone, not to its process group, which may outlive it
}

// Command is a program to run: an argument list, never a line for a shell.
type Command struct {
	Argv    []string `json:"argv,omitempty"`     // Argv[0] without a slash is looked up in PATH
	Env     []string `json:"env,omitempty"`      // NAME=value, in addition to HAM's own
	Bare    bool     `json:"bare,omitempty"`     // Env is all there is
	Dir     string   `json:"dir,omitempty"`      // working directory; "": HAM's own
	User    string   `json:"user,omitempty"`     // name or number; "": the owner. Only administrators may set it
	Group   string   `json:"group,omitempty"`    // name or number; "": that of the user
	Limits  []Limit  `json:"limits,omitempty"`   // resource limits
	Output  Output   `json:"output"`             // where standard output and error go
	Sockets []Socket `json:"sockets,omitempty"`  // descriptors 3, 4, … in this order (LISTEN_FDS)
	FDStore int      `json:"fd_store,omitempty"` // most descriptors kept for it between two lives (FDSTORE=1); 0: none
}

// Limit is one resource limit, as setrlimit(2) knows it.
type Limit struct {
	Resource string `json:"resource"` // "nofile", "core", "as", "cpu", …: RLIMIT_… in lower case
	Soft     uint64 `json:"soft"`     // Unlimited: none
	Hard     uint64 `json:"hard"`
}

// Unlimited is RLIM_INFINITY.
const Unlimited = ^uint64(0)

// Output says where a child's standard output and error go. The zero value: to HAM's log, line by line.
type Output struct {
	File string `json:"file,omitempty"` // a file that is appended to
	Size int64  `json:"size,omitempty"` // bytes after which the file is renamed to File.1 and begun anew; 0: never
	Keep int    `json:"keep,omitempty"` // how many renamed files are kept; 0: one
	Drop bool   `json:"drop,omitempty"` // /dev/null
}

// Socket is a listening socket that HAM holds open through restarts and passes to the entity (socket activation,
// sd_listen_fds(3)).
type Socket struct {
	Name    string `json:"name,omitempty"` // for LISTEN_FDNAMES; "": the address
	Network string `json:"network"`        // "tcp", "udp", "unix", "unixgram", "unixpacket"
	Address string `json:"address"`
}

// Heartbeat is what an entity promises, and the two marks at which it is missed.
type Heartbeat struct {
	Period time.Duration `json:"period,omitempty"` // at least one beat in each; at least MinPeriod. 0: no heartbeat is promised
	Low    int           `json:"low,omitempty"`    // missed beats that trigger OnHeartbeatMissedLow; 0: never
	High   int           `json:"high,omitempty"`   // missed beats that trigger OnHeartbeatMissedHigh; 0: never
	Grace  time.Duration `json:"grace,omitempty"`  // after a start or an attachment nothing is missed for so long
}

// Readiness says when an entity counts as ready. One of the fields at most; the zero value: as soon as it runs.
type Readiness struct {
	Notify  bool          `json:"notify,omitempty"`  // READY=1 came (sd_notify(3))
	Beat    bool          `json:"beat,omitempty"`    // its first heartbeat came
	State   *int64        `json:"state,omitempty"`   // it reported this state
	Probe   *WaitFor      `json:"probe,omitempty"`   // this is there; asked again until it is
	Timeout time.Duration `json:"timeout,omitempty"` // not ready for so long after its start counts as a death: it is stopped. 0: no limit
}

// Dependency is an entity that must be ready before another is started, and is stopped only after it.
type Dependency struct {
	Entity  string `json:"entity"`
	Restart bool   `json:"restart,omitempty"` // stop the dependent when this one dies, start it when this one is ready again
}

// Budget bounds restarts. The count of restarts decays; delays grow with it; a healthy time clears it. Zero fields have
// the defaults told with them.
type Budget struct {
	Limit   int             `json:"limit,omitempty"`   // restarts that fit the budget. Default 10; negative: no limit
	Half    time.Duration   `json:"half,omitempty"`    // in this time half of the count is forgotten. Default 1 min
	Delay   time.Duration   `json:"delay,omitempty"`   // before the second restart in a row; the first is done at once. Default 100 ms
	Factor  float64         `json:"factor,omitempty"`  // each delay is so many times the one before. Default 2; at least 1
	Cap     time.Duration   `json:"cap,omitempty"`     // the longest delay. Default 30 s
	Delays  []time.Duration `json:"delays,omitempty"`  // delays one by one, the last for all that follow: instead of Delay, Factor and Cap
	Jitter  float64         `json:"jitter,omitempty"`  // part of a delay, 0 to 1, that is drawn by lot and added
	Healthy time.Duration   `json:"healthy,omitempty"` // an entity that has run for so long clears the count. Default 10 s
	Slow    bool            `json:"slow,omitempty"`    // with the budget used up go on with the longest delay, instead of giving up
}

// ConditionSpec declares a condition of an entity: what happens to it, and what is then done.
type ConditionSpec struct {
	Name     string         `json:"name"`
	On       ConditionType  `json:"on"`
	Flags    ConditionFlags `json:"flags,omitempty"`
	From     Match          `json:"from"`               // of OnState: the state that was left
	To       Match          `json:"to"`                 // of OnState: the state that was entered
	Type     Match          `json:"type"`               // of OnRaise
	Class    Match          `json:"class"`              // of OnRaise
	Severity Match          `json:"severity"`           // of OnRaise
	Resource *Resource      `json:"resource,omitempty"` // of OnResourceExceeded
	Actions  []ActionSpec   `json:"actions,omitempty"`
}

// Match is a set of values, the complement of one, or everything. The zero value matches nothing and is refused where a
// match is needed: zero is a value like any other.
type Match struct {
	Any    bool    `json:"any,omitempty"`    // every value, and none yet
	Not    bool    `json:"not,omitempty"`    // every value, and none yet, but Values
	Values []int64 `json:"values,omitempty"` // these
}

// Resource is what an entity may use before OnResourceExceeded fires, once for each time that a limit is passed. Zero: no limit.
type Resource struct {
	RSS int64   `json:"rss,omitempty"` // resident bytes
	CPU float64 `json:"cpu,omitempty"` // processors in use since the last sample: 1 is a whole one
	FDs int     `json:"fds,omitempty"` // open descriptors
	For int     `json:"for,omitempty"` // so many samples in a row; 0: one
}

// ActionSpec declares an action. Exactly one of the pointers says what is done.
type ActionSpec struct {
	Name     string      `json:"name"`
	Flags    ActionFlags `json:"flags,omitempty"`
	Delivery Delivery    `json:"delivery,omitempty"` // after a takeover of HAM; zero: as its kind has it

	Restart *Restart `json:"restart,omitempty"` // start the entity again
	Execute *Execute `json:"execute,omitempty"` // run a command
	WaitFor *WaitFor `json:"waitfor,omitempty"` // wait until something is there
	Notify  *Notify  `json:"notify,omitempty"`  // tell somebody
	Signal  *Signal  `json:"signal,omitempty"`  // send a signal
	Kill    *Kill    `json:"kill,omitempty"`    // end the entity's process, with more force step by step
	Healthy *Healthy `json:"healthy,omitempty"` // watch its heartbeat again
	Log     *Log     `json:"log,omitempty"`     // write a line to HAM's log
	Raise   *Raise   `json:"raise,omitempty"`   // raise a condition of another entity, or of this one
	Dump    *Execute `json:"dump,omitempty"`    // run a command that saves what is left of the process, before it is ended
	Enable  *Switch  `json:"enable,omitempty"`  // switch a part of the tree on
	Disable *Switch  `json:"disable,omitempty"` // and off

	OnFail []ActionSpec `json:"on_fail,omitempty"` // run when this one fails; anything but restart and healthy, and no OnFail of their own
}

// Restart starts the entity again. Only a death condition may hold one, and only one over all of them.
type Restart struct {
	Command *Command `json:"command,omitempty"` // nil: that of the entity's settings
}

// Execute runs a command with HAM's variables in its environment (HAM_ENTITY, HAM_CONDITION, HAM_ACTION, HAM_EVENT, HAM_PID, HAM_STATUS).
// It fails unless the command ends in time with status 0. In a condition with NoWait it is only started.
type Execute struct {
	Command    Command       `json:"command"`
	Timeout    time.Duration `json:"timeout,omitempty"`    // then the command is killed; 0: DefaultExecute
	Background bool          `json:"background,omitempty"` // done as soon as it is started
}

// WaitFor waits until something is there, at most Timeout: then it fails. With nothing named it waits for Timeout.
type WaitFor struct {
	Path    string        `json:"path,omitempty"`    // a file of any type
	TCP     string        `json:"tcp,omitempty"`     // host:port that accepts
	Unix    string        `json:"unix,omitempty"`    // path of a socket that accepts, stream or packet
	HTTP    string        `json:"http,omitempty"`    // URL that answers 2xx
	Timeout time.Duration `json:"timeout,omitempty"` // must be > 0
}

// Notify tells one party what has happened: QNX's pulse.
type Notify struct {
	Signal   *Signal `json:"signal,omitempty"`   // a queued signal with a value
	Datagram string  `json:"datagram,omitempty"` // a packet to this unix socket
	HTTP     string  `json:"http,omitempty"`     // a POST to this URL
	Client   uint64  `json:"client,omitempty"`   // a line on this client's connection (its Opener); the action goes when it ends
	Text     string  `json:"text,omitempty"`     // passed on with the event
}

// Signal is a signal to a process.
type Signal struct {
	PID    int    `json:"pid,omitempty"`   // 0: the entity's own process
	Start  uint64 `json:"start,omitempty"` // its start time; 0: whoever has the pid then
	Signal int    `json:"signal"`
	Value  int    `json:"value,omitempty"` // passed with it (sigqueue(3))
	Group  bool   `json:"group,omitempty"` // its whole process group; then without value
}

// Kill ends the entity's process and waits for its end. It fails if the process outlives the last step.
type Kill struct {
	Steps    []KillStep `json:"steps,omitempty"`     // none: as the entity is stopped
	OnlySelf bool       `json:"only_self,omitempty"` // not its process group
}

// KillStep is a signal and how long to wait for its effect before the next.
type KillStep struct {
	Signal int           `json:"signal"`
	Wait   time.Duration `json:"wait"`
}

// Healthy makes the heartbeat state healthy, so that beats are watched again. It never fails.
type Healthy struct{}

// Log is a line in HAM's log. It never fails.
type Log struct {
	Text      string `json:"text"`
	Prefix    bool   `json:"prefix,omitempty"`    // entity, condition and action before it
	Verbosity int    `json:"verbosity,omitempty"` // written if HAM's verbosity is at least this
}

// Raise is a condition raised by a component. The meaning of the numbers is its own.
type Raise struct {
	Entity   string `json:"entity,omitempty"` // in an action: "" is the one it belongs to
	Type     int64  `json:"type"`
	Class    int64  `json:"class"`
	Severity int64  `json:"severity"`
}

// Switch names a part of the tree to be enabled or disabled.
type Switch struct {
	Path    Path `json:"path"` // of the zero value: the entity it belongs to
	Recurse bool `json:"recurse,omitempty"`
}

// Defaults and bounds of what is declared.
const (
	MinPeriod      = 10 * time.Millisecond
	DefaultExecute = time.Minute
	DefaultSample  = 10 * time.Second
)

// DefaultStop returns the steps by which a process is ended if nobody said otherwise: SIGTERM, ten seconds, SIGKILL.
func DefaultStop() []KillStep {
	return []KillStep{{Signal: 15, Wait: 10 * time.Second}, {Signal: 9, Wait: 5 * time.Second}}
}
