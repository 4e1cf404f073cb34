package pair

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// rule is one row: a member in some state, what happens to it, what it wants done, what it is then.
type rule struct {
	name    string
	given   roles
	events  []event
	want    []effect
	role    Role
	partner partner
}

func (c rule) check(t *testing.T) {
	t.Helper()
	r := c.given
	var got []effect
	for _, ev := range c.events {
		got = append(got, r.step(ev)...)
	}
	require.Equal(t, c.want, got, "what is to be done")
	require.Equal(t, c.role, r.role, "its role")
	require.Equal(t, c.partner, r.partner, "what it knows of its backup")
}

func do(kinds ...effectKind) (out []effect) {
	for _, k := range kinds {
		out = append(out, effect{kind: k})
	}
	return out
}

// Members as they are in the middle of their lives.
func soloPrimary() roles { return roles{role: Primary, epoch: 3, spawning: true, joinBy: joinWithin} }
func primaryWith(p partner) roles {
	r := soloPrimary()
	r.partner = p
	return r
}
func backupRoles() roles  { return roles{role: Backup, epoch: 3, spawning: true, joinBy: joinWithin} }
func joiningRoles() roles { return roles{role: Joining, epoch: 3, spawning: true, joinBy: joinWithin} }

func with(r roles, change func(*roles)) roles {
	change(&r)
	return r
}

func TestABackupTakesOverOnlyWhatItHasWonAndHoldsWhole(t *testing.T) {
	t.Parallel()
	dead := event{kind: evPrimaryLost, cause: causeDeath, proof: true}
	hangs := event{kind: evPrimaryLost, cause: causeHang}
	won, lost := event{kind: evSealed, won: true, epoch: 4}, event{kind: evSealed}
	for _, c := range []rule{
		{name: "a proven death: swap the word, then kill, read on, serve, fence beside it",
			given: backupRoles(), events: []event{dead, won, {kind: evDrained, won: true}},
			want: do(doSeal, doKill, doDrain, doServe, doFenceLater, doPublish), role: Primary, partner: alone},
		{name: "a suspicion: fence first",
			given: backupRoles(), events: []event{hangs, {kind: evFenced, won: true}, won, {kind: evDrained, won: true}},
			want: do(doFence, doSeal, doDrain, doServe, doPublish), role: Primary, partner: alone},
		{name: "a suspicion by one that cannot take over: nobody is fenced, and what follows is as ever",
			given: joiningRoles(), events: []event{hangs, {kind: evSynced}, hangs}, want: do(doAckSynced, doPublish, doFence), role: Backup},
		{name: "the same news twice is one takeover",
			given: backupRoles(), events: []event{hangs, dead, hangs}, want: do(doFence), role: Backup},
		{name: "who cannot be fenced is not taken over from, but suspected again",
			given: backupRoles(), events: []event{hangs, {kind: evFenced}, hangs}, want: do(doFence, doFence), role: Backup},
		{name: "who loses the swap leaves and kills nobody",
			given: backupRoles(), events: []event{dead, lost}, want: append(do(doSeal), effect{kind: doLeave, err: ErrDropped}), role: Gone},
		{name: "half a state does not serve",
			given: joiningRoles(), events: []event{dead, won, {kind: evDrained}},
			want: append(do(doSeal, doKill, doDrain), effect{kind: doLeave, err: ErrNotSynchronised}), role: Gone},
		{name: "a state completed by the last records does",
			given: joiningRoles(), events: []event{dead, won, {kind: evSynced}, {kind: evDrained, won: true}},
			want: do(doSeal, doKill, doDrain, doServe, doFenceLater, doPublish), role: Primary, partner: alone},
		{name: "a whole state is acknowledged once",
			given: joiningRoles(), events: []event{{kind: evSynced}, {kind: evSynced}}, want: do(doAckSynced, doPublish), role: Backup},
		{name: "a backup is nobody to join or to switch",
			given: backupRoles(), events: []event{{kind: evJoin, seat: 7, hand: true}, {kind: evSwitch}},
			want: []effect{{kind: doRefuse, seat: 7, err: ErrNotPrimary}, {kind: doRefuseSwitch, err: ErrNotPrimary}}, role: Backup},
		{name: "a new primary that only a person can give a backup waits for one",
			given: with(backupRoles(), func(r *roles) { r.spawning = false }), events: []event{dead, won, {kind: evDrained, won: true}},
			want: do(doSeal, doKill, doDrain, doServe, doFenceLater, doPublish), role: Primary, partner: alone},
	} {
		t.Run(c.name, func(t *testing.T) { c.check(t) })
	}
}

func TestANewPrimaryStartsABackupOnlyWhenItHadTimeToAnswer(t *testing.T) {
	t.Parallel()
	r := with(backupRoles(), func(r *roles) { r.retryAt = time.Hour }) // from when it was primary before
	r.step(event{kind: evPrimaryLost, cause: causeDeath, proof: true})
	r.step(event{kind: evSealed, won: true, epoch: 4})
	require.Equal(t, do(doServe, doFenceLater, doPublish), r.step(event{kind: evDrained, won: true, at: time.Minute}))
	require.Empty(t, r.step(event{kind: evTick, at: time.Minute + breath - 1}))
	require.Equal(t, do(doPublish, doSpawn), r.step(event{kind: evTick, at: time.Minute + breath}))
}

func TestAPrimaryGoesOnAloneOnlyAfterItHasSwappedItsBackupOut(t *testing.T) {
	t.Parallel()
	lost := event{kind: evPartnerLost, cause: causeHang}
	for _, c := range []rule{
		{name: "lost, swapped out, dropped, replaced at once",
			given: primaryWith(synced), events: []event{lost, {kind: evClosed, won: true}},
			want: do(doCloseLog, doDropPartner, doPublish, doSpawn), role: Primary, partner: starting},
		{name: "the backup was faster: this one is the past",
			given: primaryWith(synced), events: []event{lost, {kind: evClosed}},
			want: append(do(doCloseLog), effect{kind: doLeave, err: ErrDeposed}), role: Gone, partner: synced},
		{name: "the same news while it is being swapped out is no news",
			given: primaryWith(filling), events: []event{lost, lost, {kind: evClosed, won: true}},
			want: do(doCloseLog, doDropPartner, doPublish, doSpawn), role: Primary, partner: starting},
		{name: "news of a backup that there is not",
			given: soloPrimary(), events: []event{lost, {kind: evSynced}, {kind: evSpawnFailed}}, role: Primary, partner: alone},
		{name: "one that ended before it joined is replaced",
			given: primaryWith(starting), events: []event{{kind: evSpawnFailed}}, want: do(doPublish, doSpawn), role: Primary, partner: starting},
		{name: "one that does not join in time is dropped and replaced",
			given: primaryWith(starting), events: []event{{kind: evTick, at: joinWithin}, {kind: evTick, at: joinWithin + 1}},
			want: do(doDropPartner, doPublish, doSpawn), role: Primary, partner: starting},
		{name: "no switch to a backup that does not hold everything",
			given: primaryWith(filling), events: []event{{kind: evSwitch}},
			want: []effect{{kind: doRefuseSwitch, err: ErrNotSynchronised}}, role: Primary, partner: filling},
		{name: "no switch to a backup that is being given up",
			given: primaryWith(synced), events: []event{lost, {kind: evSwitch}},
			want: append(do(doCloseLog), effect{kind: doRefuseSwitch, err: ErrNotSynchronised}), role: Primary, partner: synced},
	} {
		t.Run(c.name, func(t *testing.T) { c.check(t) })
	}
}

func TestTheSecondFailureInARowIsAnsweredLaterThanTheFirst(t *testing.T) {
	t.Parallel()
	r := primaryWith(starting)
	require.Equal(t, do(doPublish, doSpawn), r.step(event{kind: evSpawnFailed}))
	require.Equal(t, do(doPublish), r.step(event{kind: evSpawnFailed}))
	require.Empty(t, r.step(event{kind: evTick, at: budgetFirst - 1}))
	require.Equal(t, do(doPublish, doSpawn), r.step(event{kind: evTick, at: budgetFirst}))
}

func TestAThirdMemberIsRefusedUnlessAPersonReplacesOurBackup(t *testing.T) {
	t.Parallel()
	hand, ours := event{kind: evJoin, seat: 5, hand: true}, event{kind: evJoin, seat: 6}
	refused := func(seat int) effect { return effect{kind: doRefuse, seat: seat, err: ErrThirdMember} }
	for _, c := range []rule{
		{name: "the second member is taken in",
			given: soloPrimary(), events: []event{hand}, want: []effect{{kind: doAdmit, seat: 5}, {kind: doPublish}}, role: Primary, partner: filling},
		{name: "the one we started as well",
			given: primaryWith(starting), events: []event{ours}, want: []effect{{kind: doAdmit, seat: 6}, {kind: doPublish}}, role: Primary, partner: filling},
		{name: "one of ours is no third",
			given: primaryWith(synced), events: []event{ours}, want: []effect{refused(6)}, role: Primary, partner: synced},
		{name: "two by hand, and one of ours that comes late",
			given: soloPrimary(), events: []event{hand, ours},
			want: []effect{{kind: doAdmit, seat: 5}, {kind: doPublish}, refused(6)}, role: Primary, partner: filling},
		{name: "by hand in place of one of ours, once the word is swapped",
			given: primaryWith(synced), events: []event{hand, {kind: evClosed, won: true}},
			want: []effect{{kind: doCloseLog}, {kind: doDropPartner}, {kind: doAdmit, seat: 5}, {kind: doPublish}}, role: Primary, partner: filling},
		{name: "only one of them",
			given: primaryWith(synced), events: []event{hand, {kind: evJoin, seat: 8, hand: true}},
			want: append(do(doCloseLog), refused(8)), role: Primary, partner: synced},
		{name: "who comes while a backup is given up takes its place, and the word is swapped once",
			given: primaryWith(synced), events: []event{{kind: evPartnerLost}, hand, {kind: evPartnerLost}, {kind: evClosed, won: true}},
			want: []effect{{kind: doCloseLog}, {kind: doDropPartner}, {kind: doAdmit, seat: 5}, {kind: doPublish}}, role: Primary, partner: filling},
		{name: "nobody while the pair stops",
			given: with(soloPrimary(), func(r *roles) { r.stopping = true }), events: []event{hand},
			want: []effect{{kind: doRefuse, seat: 5, err: ErrStopping}}, role: Primary, partner: alone},
	} {
		t.Run(c.name, func(t *testing.T) { c.check(t) })
	}
}

func TestTheMembersChangePlacesAsPlanned(t *testing.T) {
	t.Parallel()
	for _, c := range []rule{
		{name: "the primary hands over and waits for the new one",
			given: primaryWith(synced), events: []event{{kind: evSwitch}, {kind: evAdmitted, epoch: 4}, {kind: evSynced}},
			want: do(doHandOver, doAckSynced, doPublish), role: Backup},
		{name: "the backup adopts it and serves",
			given: backupRoles(), events: []event{{kind: evHandedOver, epoch: 4}, {kind: evSynced}},
			want: do(doAdoptPrimary, doServe, doPublish, doPublish), role: Primary, partner: synced},
		{name: "not to one that has half a state",
			given: joiningRoles(), events: []event{{kind: evHandedOver, epoch: 4}},
			want: []effect{{kind: doLeave, err: ErrNotSynchronised}}, role: Gone},
		{name: "the new one dies before it serves: the old one takes its place back",
			given: primaryWith(synced), events: []event{{kind: evSwitch}, {kind: evPrimaryLost, cause: causeHang}, {kind: evFenced, won: true},
				{kind: evSealed, won: true, epoch: 5}, {kind: evDrained, won: true}},
			want: do(doHandOver, doFence, doSeal, doDrain, doServe, doPublish), role: Primary, partner: alone},
	} {
		t.Run(c.name, func(t *testing.T) { c.check(t) })
	}
}

func TestAStopReachesBothMembersWhoeverIsAsked(t *testing.T) {
	t.Parallel()
	stop := event{kind: evStop}
	for _, c := range []rule{
		{name: "the primary stops its backup, then itself", given: primaryWith(synced), events: []event{stop, stop}, want: do(doStopPartner, doLeave), role: Gone, partner: synced},
		{name: "a primary without one just leaves", given: soloPrimary(), events: []event{stop}, want: do(doLeave), role: Gone},
		{name: "a backup asks, and asks again", given: backupRoles(), events: []event{stop, stop, {kind: evOrdered}}, want: do(doAskStop, doAskStop, doLeave), role: Gone},
		{name: "a backup whose primary dies before it heard stops the pair itself",
			given: backupRoles(), events: []event{stop, {kind: evPrimaryLost, proof: true, cause: causeDeath}, {kind: evSealed, won: true}, {kind: evDrained, won: true}},
			want: do(doAskStop, doSeal, doKill, doDrain, doServe, doFenceLater, doLeave), role: Gone},
		{name: "asked in the middle of a switch, the old primary passes it on to the new one",
			given: primaryWith(synced), events: []event{{kind: evSwitch}, stop, {kind: evAdmitted, epoch: 4}},
			want: do(doHandOver, doAskStop, doAskStop), role: Joining},
		{name: "and the new primary stops as soon as it is one",
			given: backupRoles(), events: []event{stop, {kind: evHandedOver, epoch: 4}},
			want: do(doAskStop, doAdoptPrimary, doServe, doPublish, doStopPartner, doLeave), role: Gone, partner: filling},
		{name: "no switch then", given: with(primaryWith(synced), func(r *roles) { r.stopping = true }), events: []event{{kind: evSwitch}},
			want: []effect{{kind: doRefuseSwitch, err: ErrNotSynchronised}}, role: Primary, partner: synced},
	} {
		t.Run(c.name, func(t *testing.T) { c.check(t) })
	}
}

func TestWhoIsGoneDoesNothingAnyMore(t *testing.T) {
	t.Parallel()
	for k := evFounded; k <= evSuccessorLost; k++ {
		r := roles{role: Gone, spawning: true}
		require.Empty(t, r.step(event{kind: k, won: true, proof: true, hand: true, at: time.Hour}), "event %d", k)
		require.Equal(t, Gone, r.role)
	}
}

func TestEveryRoleHasAName(t *testing.T) {
	t.Parallel()
	require.Equal(t, "joining backup primary gone role 9", Joining.String()+" "+Backup.String()+" "+Primary.String()+" "+Gone.String()+" "+Role(9).String())
}
