package config

import "fmt"

// The file as it is written. See docs/monitor-file.md for what the keys mean.

type file struct {
	Entity []entity `toml:"entity"`
	Global struct {
		Condition []condition `toml:"condition"`
	} `toml:"global"`
}

type entity struct {
	Name      string                `toml:"name"`
	Command   []string              `toml:"command"`
	Pair      string                `toml:"pair"`
	Start     *bool                 `toml:"start"`
	Keep      *bool                 `toml:"keep"`
	Env       map[string]string     `toml:"env"`
	BareEnv   bool                  `toml:"bare_env"`
	Dir       string                `toml:"dir"`
	User      string                `toml:"user"`
	Group     string                `toml:"group"`
	Limits    map[string]limitValue `toml:"limits"`
	Output    *output               `toml:"output"`
	Socket    []socket              `toml:"socket"`
	FDStore   int                   `toml:"fd_store"`
	Heartbeat *heartbeat            `toml:"heartbeat"`
	Ready     *ready                `toml:"ready"`
	After     []dependency          `toml:"after"`
	Restart   *budget               `toml:"restart"`
	Stop      []killStep            `toml:"stop"`
	OnlySelf  bool                  `toml:"only_self"`
	Sample    duration              `toml:"sample"`
	Condition []condition           `toml:"condition"`
}

type output struct {
	File string `toml:"file"`
	Size size   `toml:"size"`
	Keep int    `toml:"keep"`
	Drop bool   `toml:"drop"`
}

type socket struct {
	Name    string `toml:"name"`
	Network string `toml:"network"`
	Address string `toml:"address"`
}

type heartbeat struct {
	Period duration `toml:"period"`
	Low    int      `toml:"low"`
	High   int      `toml:"high"`
	Grace  duration `toml:"grace"`
}

type ready struct {
	Notify  bool     `toml:"notify"`
	Beat    bool     `toml:"beat"`
	State   *int64   `toml:"state"`
	Path    string   `toml:"path"`
	TCP     string   `toml:"tcp"`
	Unix    string   `toml:"unix"`
	HTTP    string   `toml:"http"`
	Timeout duration `toml:"timeout"`
}

// dependency is the name of an entity, or { entity = "…", restart = true }.
type dependency struct {
	entity  string
	restart bool
}

// UnmarshalTOML implements toml.Unmarshaler.
func (d *dependency) UnmarshalTOML(v any) error {
	switch v := v.(type) {
	case string:
		d.entity = v
		return nil
	case map[string]any:
		name, ok := v["entity"].(string)
		restart, isBool := v["restart"].(bool)
		_, given := v["restart"]
		if ok && (isBool || !given) {
			d.entity, d.restart = name, restart
			return nil
		}
	}
	return fmt.Errorf("%v is no dependency, expected the name of an entity, or { entity = \"…\", restart = true }", v)
}

type budget struct {
	Limit   int        `toml:"limit"`
	Half    duration   `toml:"half"`
	Delay   duration   `toml:"delay"`
	Factor  float64    `toml:"factor"`
	Cap     duration   `toml:"cap"`
	Delays  []duration `toml:"delays"`
	Jitter  float64    `toml:"jitter"`
	Healthy duration   `toml:"healthy"`
	Slow    bool       `toml:"slow"`
}

type killStep struct {
	Signal signalNumber `toml:"signal"`
	Wait   duration     `toml:"wait"`
}

type condition struct {
	Name        string   `toml:"name"`
	On          string   `toml:"on"`
	Once        bool     `toml:"once"`
	NoWait      bool     `toml:"nowait"`
	Independent bool     `toml:"independent"`
	From        *match   `toml:"from"`
	To          *match   `toml:"to"`
	Type        *match   `toml:"type"`
	Class       *match   `toml:"class"`
	Severity    *match   `toml:"severity"`
	RSS         size     `toml:"rss"`
	CPU         float64  `toml:"cpu"`
	FDs         int      `toml:"fds"`
	For         int      `toml:"for"`
	Action      []action `toml:"action"`
}

type action struct {
	Name        string `toml:"name"`
	Once        bool   `toml:"once"`
	BreakOnFail bool   `toml:"break_on_fail"`
	DoNow       bool   `toml:"do_now"`
	Delivery    string `toml:"delivery"`

	Restart *struct {
		Command []string `toml:"command"`
	} `toml:"restart"`
	Execute *run      `toml:"execute"`
	WaitFor *waitFor  `toml:"waitfor"`
	Notify  *notify   `toml:"notify"`
	Signal  *signal   `toml:"signal"`
	Kill    *kill     `toml:"kill"`
	Healthy *struct{} `toml:"healthy"`
	Log     *logLine  `toml:"log"`
	Raise   *raise    `toml:"raise"`
	Dump    *run      `toml:"dump"`
	Enable  *string   `toml:"enable"`
	Disable *string   `toml:"disable"`
	OnFail  []action  `toml:"on_fail"`
}

// run is a command, or { command = [...], timeout = "…", … }.
type run struct {
	Command    []string
	Timeout    duration
	Background bool
}

// UnmarshalTOML implements toml.Unmarshaler.
func (r *run) UnmarshalTOML(v any) error {
	table, ok := v.(map[string]any)
	if !ok {
		table = map[string]any{"command": v}
	}
	for key, v := range table {
		var good bool
		switch key {
		case "command":
			r.Command, good = texts(v)
		case "timeout":
			text, isText := v.(string)
			good = isText && r.Timeout.UnmarshalText([]byte(text)) == nil
		case "background":
			r.Background, good = v.(bool)
		}
		if !good {
			return fmt.Errorf("%s = %v: expected a list of arguments, or { command = [...], timeout = \"10s\", background = false }", key, v)
		}
	}
	return nil
}

func texts(v any) (out []string, ok bool) {
	list, ok := v.([]any)
	for _, v := range list {
		text, isText := v.(string)
		if !isText {
			return nil, false
		}
		out = append(out, text)
	}
	return out, ok && len(out) > 0
}

type waitFor struct {
	Path    string   `toml:"path"`
	TCP     string   `toml:"tcp"`
	Unix    string   `toml:"unix"`
	HTTP    string   `toml:"http"`
	Timeout duration `toml:"timeout"`
}

type notify struct {
	Signal   *signal `toml:"signal"`
	Datagram string  `toml:"datagram"`
	HTTP     string  `toml:"http"`
	Text     string  `toml:"text"`
}

// signal is the name of a signal to the entity's process, or { signal = "…", pid = 1, value = 2, group = true }.
type signal struct {
	Signal signalNumber
	PID    int
	Value  int
	Group  bool
}

// UnmarshalTOML implements toml.Unmarshaler.
func (s *signal) UnmarshalTOML(v any) error {
	table, ok := v.(map[string]any)
	if !ok {
		return s.Signal.UnmarshalTOML(v)
	}
	for key, v := range table {
		n, isNumber := v.(int64)
		switch key {
		case "signal":
			if err := s.Signal.UnmarshalTOML(v); err != nil {
				return err
			}
			isNumber = true
		case "pid":
			s.PID = int(n)
		case "value":
			s.Value = int(n)
		case "group":
			s.Group, isNumber = v.(bool)
		default:
			isNumber = false
		}
		if !isNumber {
			return fmt.Errorf("%s = %v: expected signal, pid, value or group", key, v)
		}
	}
	return nil
}

type kill struct {
	Steps    []killStep `toml:"steps"`
	OnlySelf bool       `toml:"only_self"`
}

// logLine is a text, or { text = "…", prefix = true, verbosity = 1 }.
type logLine struct {
	Text      string
	Prefix    bool
	Verbosity int
}

// UnmarshalTOML implements toml.Unmarshaler.
func (l *logLine) UnmarshalTOML(v any) error {
	if text, ok := v.(string); ok {
		l.Text, l.Prefix = text, true
		return nil
	}
	table, ok := v.(map[string]any)
	for key, v := range table {
		var good bool
		switch key {
		case "text":
			l.Text, good = v.(string)
		case "prefix":
			l.Prefix, good = v.(bool)
		case "verbosity":
			var n int64
			n, good = v.(int64)
			l.Verbosity = int(n)
		}
		ok = ok && good
	}
	if !ok {
		return fmt.Errorf("%v is no line for the log, expected text, or { text = \"…\", prefix = true, verbosity = 1 }", v)
	}
	return nil
}

type raise struct {
	Entity   string `toml:"entity"`
	Type     int64  `toml:"type"`
	Class    int64  `toml:"class"`
	Severity int64  `toml:"severity"`
}
