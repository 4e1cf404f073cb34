package control

import (
	"errors"
	"fmt"
)

// ErrUnknownPoint is returned for a continuation point that nobody registered: taking over there would resume nowhere.
var ErrUnknownPoint = errors.New("unknown continuation point")

// Points maps the continuation points of a program to what resumes there (the case selector of NonStop's active backup,
// Guardian Programmer's Guide, 27-14). The zero value is empty and ready to use.
type Points struct {
	resume map[string]func(Point) error
}

// Register names a continuation point. Registering a name twice is a mistake of the program and panics.
func (p *Points) Register(name string, resume func(Point) error) {
	if _, ok := p.resume[name]; ok {
		panic(fmt.Sprintf("control: continuation point %q registered twice", name))
	}
	if p.resume == nil {
		p.resume = map[string]func(Point) error{}
	}
	p.resume[name] = resume
}

// Check returns ErrUnknownPoint if msgs name a point that is not registered. A primary that checks before it sends finds
// the mistake while it can still be mended, not at the takeover.
func (p *Points) Check(msgs ...Message) error {
	for _, m := range msgs {
		if pt, ok := m.(Point); ok && p.resume[pt.Name] == nil {
			return fmt.Errorf("cannot checkpoint at %q: %w", pt.Name, ErrUnknownPoint)
		}
	}
	return nil
}

// Resume runs what is registered for pt.
func (p *Points) Resume(pt Point) error {
	f := p.resume[pt.Name]
	if f == nil {
		return fmt.Errorf("cannot resume at %q: %w", pt.Name, ErrUnknownPoint)
	}
	return f(pt)
}
