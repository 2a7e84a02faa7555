/* SPDX-License-Identifier: BSD-2-Clause */
/* The mappings whose sessions are copied, and the memory for each. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "base/log.h"
#include "copies/copying_private.h"
#include "tables/mapping_drains.h"

/* Mappings that each payload looks at, in turn, where there are more. */
#define LOOK_AT_ONCE 64
_Static_assert(MAX_MAPPINGS % LOOK_AT_ONCE == 0, "a turn ends at the last one");

static void *take_memory(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static void give_memory(void *p, size_t size)
{
	if (p)
		munmap(p, size);
}

static size_t slots_of(const struct copied_mapping *cm)
{
	return (size_t)cm->tables.n_subscribers * cm->tables.n_slots;
}

static void release(struct copied_mapping *cm, bool remove_marks)
{
	give_memory(cm->words, cm->tables.n_subscribers * sizeof(*cm->words));
	give_memory(cm->flags, cm->tables.n_subscribers);
	give_memory(cm->holders, cm->tables.n_subscribers);
	give_memory(cm->notes, slots_of(cm) * sizeof(*cm->notes));
	give_memory(cm->turns, slots_of(cm) * sizeof(*cm->turns));
	give_memory(cm->behalf, slots_of(cm) / 8 + 1);
	copy_marks_close(&cm->marks, remove_marks);
	*cm = (struct copied_mapping){ .marks.fd = -1 };
}

static void describe(const struct copying *c, const struct mapping *record, struct marked_tables *ret)
{
	*ret = (struct marked_tables){
		.digest = mapping_digest(c->m, record),
		.first_bucket = record->first_bucket,
		.first_subscriber = record->first_subscriber,
		.n_subscribers = record->geo.last_subscriber + 1,
		.n_slots = BUCKET_SLOTS << record->bucket_shift,
	};
}

/* A mapping that has sessions; /0 would have more subscribers than a number holds. */
static bool is_copied(const struct mapping *record)
{
	return record->first_bucket != NO_BUCKETS && record->geo.in_plen;
}

/* Counts the marks left by an earlier agent. */
static void count_marks(struct copying *c, const struct copied_mapping *cm)
{
	for (uint32_t i = 0; i < cm->tables.n_subscribers; i++) {
		const uint16_t *marks = copy_marks_of(&cm->marks, i);

		if (!marks) {
			i += cm->marks.per_segment - i % cm->marks.per_segment - 1;
			continue;
		}
		for (uint32_t slot = 0; slot < cm->tables.n_slots; slot++) {
			unsigned peer = mark_peer(marks[slot]);

			c->peer[peer].held += peer != 0;
			cm->holders[i] |= (uint8_t)((peer != 0) << peer);
		}
	}
}

static int open_marks(struct copying *c, struct copied_mapping *cm)
{
	_cleanup_free_ char *path = NULL;

	if (c->state_file && asprintf(&path, "%s.%08x-%u-%08x-%u", c->state_file, cm->in.base, cm->in.plen,
				      cm->out.base, cm->out.plen) < 0)
		return -ENOMEM;
	return copy_marks_open(&cm->marks, path, &cm->tables);
}

static int note(struct copying *c, int number, const struct mapping *record)
{
	struct copied_mapping *cm = &c->mapping[number];
	int r;

	*cm = (struct copied_mapping){
		.used = true,
		.number = number,
		.in = geometry_in(&record->geo),
		.out = geometry_out(&record->geo),
		.filters = record->bindings.filtering,
		.begun = c->generation + 1,
		.marks.fd = -1,
	};
	describe(c, record, &cm->tables);
	cm->words = take_memory(cm->tables.n_subscribers * sizeof(*cm->words));
	cm->flags = take_memory(cm->tables.n_subscribers);
	cm->holders = take_memory(cm->tables.n_subscribers);
	cm->notes = take_memory(slots_of(cm) * sizeof(*cm->notes));
	cm->turns = take_memory(slots_of(cm) * sizeof(*cm->turns));
	cm->behalf = take_memory(slots_of(cm) / 8 + 1);
	r = cm->words && cm->flags && cm->holders && cm->notes && cm->turns && cm->behalf ? open_marks(c, cm) : -ENOMEM;
	if (!r)
		r = hash_index_add(&c->mapping_at, prefixes_hash(cm->in, cm->out), (uint32_t)number);
	if (r) {
		release(cm, false);
		return r;
	}
	count_marks(c, cm);
	return 0;
}

/* Uncounts the announced and held sessions of a deleted mapping. */
static void uncount(struct copying *c, const struct copied_mapping *cm)
{
	for (uint32_t i = 0; i < cm->tables.n_subscribers; i++) {
		const uint16_t *notes = cm->notes + (size_t)i * cm->tables.n_slots;
		const uint16_t *marks = copy_marks_of(&cm->marks, i);

		/* Never read, so nothing was announced. */
		if (!cm->words[i] && !marks)
			continue;
		for (uint32_t slot = 0; slot < cm->tables.n_slots; slot++) {
			c->told -= note_tag(notes[slot]) == NOTE_TOLD;
			if (marks && mark_peer(marks[slot]))
				c->peer[mark_peer(marks[slot])].held--;
		}
	}
}

/* Identifies a mapping with its addresses as peers see it. */
static uint64_t number_of(const struct copied_mapping *cm)
{
	return HASH_OF(cm->tables.digest, (uint64_t)cm->in.base << 32 | cm->out.base,
		       (uint64_t)cm->in.plen << 8 | cm->out.plen);
}

static void tell_anew(struct copying *c)
{
	for (unsigned p = 1; p <= COPYING_PEERS; p++)
		c->peer[p].tell_again = true;
}

bool copying_tells_again(struct copying *c, unsigned peer)
{
	bool again = c->peer[peer].tell_again;

	c->peer[peer].tell_again = false;
	return again;
}

static bool is_of_mapping(const struct waiting_copy *e, const void *arg)
{
	const struct copied_mapping *cm = arg;

	return e->mapping == cm->number;
}

static void forget(struct copying *c, struct copied_mapping *cm)
{
	uncount(c, cm);
	moved_del_mapping(&c->moved, (uint16_t)cm->number);
	waiting_forget(&c->waiting, is_of_mapping, cm);
	ended_forget(&c->ended, (uint16_t)cm->number);
	c->told -= beyond_notes_del_mapping(&c->beyond, (uint16_t)cm->number);
	hash_index_del(&c->mapping_at, prefixes_hash(cm->in, cm->out), (uint32_t)cm->number);
	release(cm, true);
}

/* Counts the held copies anew. */
static void mend_marks(struct copying *c, struct copied_mapping *cm)
{
	if (copy_marks_mend(&cm->marks, &cm->tables))
		return; /* out of memory; tried again */
	for (unsigned p = 1; p <= COPYING_PEERS; p++)
		c->peer[p].held = 0;
	for (cm = copied_mapping_from(c, 0); cm; cm = copied_mapping_from(c, cm->number + 1))
		count_marks(c, cm);
}

/* If a file cannot be written, marks continue in memory, so that no copy is lost. */
int copied_marks_make(struct copying *c, struct copied_mapping *cm, uint32_t subscriber)
{
	int r = copy_marks_make(&cm->marks, subscriber);

	if (!r)
		return 0;
	if (r == -ESTALE) {
		mend_marks(c, cm);
		r = copy_marks_make(&cm->marks, subscriber);
	}
	if (!r || copy_marks_astray(&cm->marks))
		return r;
	r = copy_marks_to_memory(&cm->marks, &cm->tables);
	return r ? r : copy_marks_make(&cm->marks, subscriber);
}

int copying_marks(struct copying *c, const char **ret_path)
{
	int r = 0;

	for (struct copied_mapping *cm = copied_mapping_from(c, 0); cm; cm = copied_mapping_from(c, cm->number + 1)) {
		int this_r = copy_marks_astray(&cm->marks) ? copy_marks_to_file(&cm->marks, &cm->tables) : 0;

		if (!this_r || r)
			continue;
		*ret_path = cm->marks.path;
		r = this_r;
	}
	return r;
}

/* Looks at the mappings with numbers from one on, and below another. */
static void look_at(struct copying *c, int first, int end)
{
	static const struct marked_tables none;
	int in_use = mappings_next(c->m, first), retired = mappings_next_retired(c->m, first);
	bool changed = false;

	for (int i = first; i < end; i++) {
		struct copied_mapping *cm = &c->mapping[i];
		struct marked_tables now = none;
		bool exists = i == in_use || i == retired;

		if (!exists && !cm->used)
			continue;
		if (cm->used && copy_marks_lost(&cm->marks))
			mend_marks(c, cm);
		if (i == in_use)
			in_use = mappings_next(c->m, i + 1);
		if (i == retired)
			retired = mappings_next_retired(c->m, i + 1);
		if (exists && is_copied(mappings_get(c->m, i)))
			describe(c, mappings_get(c->m, i), &now);
		if (!memcmp(&now, cm->used ? &cm->tables : &none, sizeof(now)))
			continue;
		if (cm->used && hash_set_add(&c->gone, number_of(cm)))
			tell_anew(c);
		if (cm->used)
			forget(c, cm);
		if (now.n_slots && note(c, i, mappings_get(c->m, i)))
			continue; /* out of memory; tried again */
		changed = true;
		/* Peers see no difference, and everything known about its sessions is gone. */
		if (cm->used && hash_set_has(&c->gone, number_of(cm)))
			tell_anew(c);
	}
	if (changed || c->reach_stale)
		changed |= copied_reach_grows(c);
	if (!changed)
		return;
	c->generation++;
	c->rules_stale = true;
	for (unsigned i = 1; i <= COPYING_PEERS; i++)
		copied_tables_link(c, i);
}

void copied_mappings_sync(struct copying *c)
{
	look_at(c, 0, MAX_MAPPINGS);
}

/* The agent says when mappings change: what is left is to find marks that are lost. */
void copied_mappings_look(struct copying *c)
{
	if (c->mapping_at.n <= (uint32_t)LOOK_AT_ONCE) {
		copied_mappings_sync(c);
		return;
	}
	look_at(c, c->look_at, c->look_at + LOOK_AT_ONCE);
	c->look_at = (c->look_at + LOOK_AT_ONCE) % (int)MAX_MAPPINGS;
}

void copied_mappings_free(struct copying *c)
{
	for (unsigned i = 0; c->mapping && i < MAX_MAPPINGS; i++)
		if (c->mapping[i].used)
			release(&c->mapping[i], false);
	free(take_pointer(c->mapping));
	hash_index_free(&c->mapping_at);
	hash_index_free(&c->gone);
}

struct copied_mapping *copied_mapping_from(struct copying *c, int number)
{
	for (; number < (int)MAX_MAPPINGS; number++)
		if (c->mapping[number].used)
			return &c->mapping[number];
	return NULL;
}

bool has_subscriber(const struct copying *c, const struct copied_mapping *cm, uint32_t subscriber)
{
	uint32_t in_addr = cm->in.base + subscriber;
	uint8_t tenant = mappings_get(c->m, cm->number)->tenant;
	const struct mapping_drain *d;
	size_t n;

	if (mappings_is_retired(c->m, cm->number) || mappings_find_inside(c->m, tenant, in_addr) == cm->number)
		return true;
	n = mappings_drains(c->m, &d);
	for (size_t i = 0; i < n; i++)
		if (d[i].number == cm->number && prefix_holds(d[i].in, in_addr))
			return true;
	return false;
}

uint32_t vouching_ticks(const struct copying *c)
{
	uint32_t shortest = UINT16_MAX;

	for (unsigned i = 0; i < MAX_MAPPINGS; i++)
		for (unsigned t = 0; c->mapping[i].used && t < N_TIMEOUTS; t++) {
			uint32_t ticks = mappings_get(c->m, (int)i)->timeout_ticks[t];

			shortest = ticks < shortest ? ticks : shortest;
		}
	return shortest / 4;
}

/* Finds the mapping here for one that a peer has shown. */

const struct copied_mapping *copied_ours_of(const struct copying *c, const struct shown_mapping *s)
{
	const struct copied_mapping *found = NULL;
	uint32_t i;

	for (uint32_t step = 0; hash_index_next(&c->mapping_at, prefixes_hash(s->in, s->out), &step, &i);) {
		const struct copied_mapping *cm = &c->mapping[i];

		if (prefix_begins_alike(cm->in, s->in) && prefix_begins_alike(cm->out, s->out) &&
		    (!found || cm->number < found->number))
			found = cm;
	}
	return found;
}

void copied_tables_link(struct copying *c, unsigned peer)
{
	struct copying_peer *p = &c->peer[peer];

	memset(p->ours, 0xff, sizeof(p->ours));
	memset(p->exchanged, 0, sizeof(p->exchanged));
	for (uint32_t i = 0; i < p->shown.n; i++) {
		struct shown_mapping *s = &p->shown.item[i];
		const struct copied_mapping *cm = copied_ours_of(c, s);

		s->ours = -1;
		if (cm && cm->tables.digest == s->digest)
			s->ours = (int16_t)cm->number;
		p->ours[s->number] = s->ours;
		if (s->ours >= 0)
			p->exchanged[s->ours] = true;
	}
}
