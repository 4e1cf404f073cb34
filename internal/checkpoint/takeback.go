package checkpoint

// A hand-over has two ends. The reader confirms it by what it does next, which the log does not see; if it cannot, the
// writer takes its place back. One word decides between them as well: it goes from HandedOver to Sealed (the reader's
// place for good) or to TakenBack (the writer's), once.

// TakeBack undoes a hand-over whose reader has not confirmed it. It returns the epoch in which the writer is primary
// again: two after that of the log. ErrSealed: the reader has confirmed.
func (w *Writer) TakeBack() (epoch uint32, err error) {
	if w.refused != nil {
		return 0, w.refused
	}
	switch w.page.settle(w.epoch, TakenBack) {
	case TakenBack:
		return w.epoch + 2, nil
	case Sealed:
		return 0, ErrSealed
	case Closed:
		return 0, ErrClosed
	}
	return 0, w.noSwap("take back")
}

// Confirm makes a hand-over final: the writer cannot take its place back. ErrClosed: it already has. Idempotent.
func (r *RingReader) Confirm() error {
	if r.refused != nil {
		return r.refused
	}
	switch r.page.settle(r.epoch, Sealed) {
	case Sealed:
		return nil
	case TakenBack, Closed:
		return ErrClosed
	default:
		return ErrCorrupt
	}
}

// settle gives a hand-over one of its two ends and returns the state that the log has then.
func (p *shared) settle(base uint32, to State) State {
	for {
		old := p.word.Load()
		if s := stateOf(old, base); s != HandedOver {
			return s
		}
		if p.word.CompareAndSwap(old, finalWord(base, to, old&offsetMask)) {
			return to
		}
	}
}
