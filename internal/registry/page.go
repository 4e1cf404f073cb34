package registry

import "time"

// Page is what is published about a pair. Its JSON form is what `pairmon status --json` prints.
type Page struct {
	// Version counts the publications of this name, from 1. Set by Publish and Read.
	Version uint64 `msgpack:"-" json:"version"`

	Name     string `msgpack:"name" json:"name"`         // set by Publish
	Program  string `msgpack:"program" json:"program"`   // path of the executable
	Mode     string `msgpack:"mode" json:"mode"`         // how the backup computes
	Instance string `msgpack:"instance" json:"instance"` // of the unbroken chain of primaries and backups
	Epoch    uint32 `msgpack:"epoch" json:"epoch"`       // of the instance: +1 at every takeover or switch

	Primary *Member `msgpack:"primary" json:"primary"` // nil: none
	Backup  *Member `msgpack:"backup" json:"backup"`   // nil: none

	// Upgrade is the path of the program by which the members are being replaced; empty: they are not.
	Upgrade string `msgpack:"upgrade" json:"upgrade"`

	Listen []string `msgpack:"listen" json:"listen"` // addresses at which clients that know nothing of pairs are served

	// UnprotectedSince is when the pair lost its last synchronised backup, or started without one; nil: it has one.
	UnprotectedSince *time.Time `msgpack:"unprotected_since" json:"unprotected_since"`

	// Notice lists the means by which the members notice each other's death, best first.
	Notice []string `msgpack:"notice" json:"notice"`

	Takeovers    uint64    `msgpack:"takeovers" json:"takeovers"` // unplanned changes of roles in this instance
	Switches     uint64    `msgpack:"switches" json:"switches"`   // planned ones
	LastTakeover *Takeover `msgpack:"last_takeover" json:"last_takeover"`
	Requests     uint64    `msgpack:"requests" json:"requests"` // answered in this instance
	Stopped      bool      `msgpack:"stopped" json:"stopped"`   // the pair was stopped on purpose

	UpdatedAt time.Time `msgpack:"updated_at" json:"updated_at"` // set by Publish
}

// Member is one process of a pair.
type Member struct {
	PID          int       `msgpack:"pid" json:"pid"`
	Start        uint64    `msgpack:"start" json:"start"`               // clock ticks since boot: tells a recycled pid
	Since        time.Time `msgpack:"since" json:"since"`               // in this role
	Synchronised bool      `msgpack:"synchronised" json:"synchronised"` // a backup: holds all state. Only such a one may take over
	Spawned      bool      `msgpack:"spawned" json:"spawned"`           // started by the other member, not by a user
	Program      string    `msgpack:"program" json:"program"`           // path of its executable
	Differs      bool      `msgpack:"differs" json:"differs"`           // a backup: runs another program than the primary, or in another mode
}

// Takeover is the record of an unplanned change of roles. Times of phases are in microseconds since the death was
// noticed, except NoticedUS; 0: the phase was not needed, or is still to come.
type Takeover struct {
	Epoch    uint32    `msgpack:"epoch" json:"epoch"`       // the new one
	Cause    string    `msgpack:"cause" json:"cause"`       // what befell the old primary, as far as known
	Evidence string    `msgpack:"evidence" json:"evidence"` // what told of it
	At       time.Time `msgpack:"at" json:"at"`             // when it was noticed

	NoticedUS    int64 `msgpack:"noticed_us" json:"noticed_us"`         // from the fault to its notice, where the fault's time is known
	FencedUS     int64 `msgpack:"fenced_us" json:"fenced_us"`           // no instruction of the old primary runs any more
	SealedUS     int64 `msgpack:"sealed_us" json:"sealed_us"`           // the log belongs to the new primary
	DrainedUS    int64 `msgpack:"drained_us" json:"drained_us"`         // and has been read to its end
	ServingUS    int64 `msgpack:"serving_us" json:"serving_us"`         // requests are accepted
	FirstReplyUS int64 `msgpack:"first_reply_us" json:"first_reply_us"` // one has been answered
	RestoredUS   int64 `msgpack:"restored_us" json:"restored_us"`       // a new backup is synchronised

	Records int `msgpack:"records" json:"records"` // drained from the log
}
