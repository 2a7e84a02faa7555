/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What other programs do to those of detnat at tcx: they attach one in front, which keeps from detnat's what it
 * accepts, or take detnat's off. The kernel notifies nobody of either, so the agent looks; what it finds is mended,
 * with the guard shut meanwhile. Whoever does it again and again would have the guard open each time until it is
 * noticed: after a few times the guard stays shut until detnat's programs have been left alone for a while.
 */
#include <string.h>

#include "base/log.h"
#include "links/devices_private.h"

/* So often in a row the guard opens at once. */
#define MOST 3U

/* For so long they must be left alone after that; twice as long each further time. */
#define REST_S	 60U
#define DOUBLED	 4U /* at most so many times */
#define FORGET_S 600U

#define DETACHED "%s: detnat's programs were detached by something else; attaching them again"

/* How long the programs must be left alone before the guard opens. */
static unsigned rest_s(const struct interface *i)
{
	unsigned more = i->displaced > MOST ? i->displaced - MOST - 1U : 0;

	return i->displaced > MOST ? REST_S << (more < DOUBLED ? more : DOUBLED) : 0;
}

bool devices_is_resting(const struct devices *v, const struct interface *i)
{
	return guard_is_up(v->guard) && monotonic_s() < i->attached_s + rest_s(i);
}

/* Begins a sentence about what was found. False: no program is in front. */
static bool describe_front(const struct devices *v, const struct interface *i, char *text, size_t size)
{
	for (enum tc_side side = 0; side < N_TC_SIDES; side++) {
		uint32_t id = tcx_in_front(v->own.pin_path, i->link.ifindex, side);
		char name[BPF_OBJ_NAME_LEN];

		if (!id)
			continue;
		/* The agent may not ask for the names of others' programs. */
		if (!strcmp(program_name(id, name), "?"))
			snprintf(text, size,
				 "program %u ('bpftool prog show id %u' names it) was attached in front of detnat's at "
				 "its %s",
				 id, id, tc_side_name(side));
		else
			snprintf(text, size, "program \"%s\" (id %u) was attached in front of detnat's at its %s", name,
				 id, tc_side_name(side));
		return true;
	}
	snprintf(text, size, "something else detached detnat's programs");
	return false;
}

/* Forgets what was long ago. */
static void forget(struct interface *i)
{
	if (i->displaced && monotonic_s() >= i->displaced_s + FORGET_S + 2ULL * rest_s(i))
		i->displaced = 0;
	if (!i->displaced)
		i->displaced_note[0] = '\0';
}

const char *devices_displaced_note(struct interface *i)
{
	forget(i);
	return i->displaced_note[0] ? i->displaced_note : NULL;
}

void devices_displaced(struct devices *v, struct interface *i)
{
	char what[160];
	bool front;

	if (devices_has_tc(v, i)) {
		log_warning(DETACHED, i->name);
		return;
	}
	forget(i);
	front = describe_front(v, i, what, sizeof(what));
	if (i->displaced < UINT8_MAX)
		i->displaced++;
	i->displaced_s = monotonic_s();
	i->displaced_note[0] = '\0';
	/* The notes are told as a trouble. */
	if (i->displaced > MOST)
		snprintf(i->displaced_note, sizeof(i->displaced_note),
			 "%s: %s, %u times in a row; %s until its programs have been left alone for %u minute%s: end "
			 "what does that, then 'detnatctl check --repair'",
			 i->name, what, i->displaced,
			 guard_is_up(v->guard) ? "the guard keeps the interface shut"
					       : "without a guard packets pass untranslated",
			 rest_s(i) / 60, rest_s(i) == REST_S ? "" : "s");
	else if (front)
		snprintf(i->displaced_note, sizeof(i->displaced_note),
			 "%s: %s, and may have kept packets from it; detnat's is in front again", i->name, what);
	else
		log_warning(DETACHED, i->name);
}

void devices_look_for_front(struct devices *v, struct interface *i)
{
	bool front = false;

	for (enum tc_side side = 0; !front && side < N_TC_SIDES; side++)
		front = tcx_in_front(v->own.pin_path, i->link.ifindex, side);
	if (front)
		devices_displaced(v, i);
}

void devices_forgive(struct devices *v)
{
	for (size_t k = 0; k < v->interfaces.count; k++)
		v->interfaces.list[k].displaced = v->interfaces.list[k].attached_s = 0;
}
