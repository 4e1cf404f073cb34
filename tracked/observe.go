package tracked

// observer is who is told of every change of a Map.
type observer[K comparable, V any] struct {
	changed func(k K, old, new V, had, has bool)
	emptied func()
}

func (o *observer[K, V]) inserted(k K, v V) {
	var none V
	o.changed(k, none, v, false, true)
}

func (o *observer[K, V]) deleted(k K, v V) {
	var none V
	o.changed(k, v, none, true, false)
}

// Observe has an index that is derived from the map follow it on both members: ordered keys, sums, whatever the content
// alone decides. changed is called for each insertion (not had, but has), update (both) and deletion (had, but not has)
// right after it has been made, whichever way it came about: by Set and Delete, by the Rollback that undoes them, and by
// what comes from the other member. emptied is called when Reset has emptied the map. Entries that are there already
// are told at once as insertions.
//
// Parts are rolled back one after the other, and the newest change of each first, so an observer must rely neither on
// other parts nor on anything but the pair of old and new. It must not change tracked state; it may keep k.
//
// Observe is called before the service runs, once for each map.
func (m *Map[K, V]) Observe(changed func(k K, old, new V, had, has bool), emptied func()) {
	if m.s.frozen || m.seen != nil {
		panic("cannot observe " + m.name + ": the service is already running, or somebody observes it")
	}
	m.seen = &observer[K, V]{changed, emptied}
	for k, v := range m.All() {
		m.seen.inserted(k, v)
	}
}
