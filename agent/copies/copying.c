/* SPDX-License-Identifier: BSD-2-Clause */
#include "copies/copying.h"

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <detnat/extents.h>

#include "base/log.h"
#include "copies/ownership.h"
#include "host/paths.h"
#include "sessions/sessions.h"

/* Whether a file of marks is one of those in use. */
static bool in_use(struct copying *c, const char *path)
{
	for (struct copied_mapping *cm = copied_mapping_from(c, 0); cm; cm = copied_mapping_from(c, cm->number + 1))
		if (cm->marks.path && !strcmp(cm->marks.path, path))
			return true;
	return false;
}

/* Removes the files of deleted mappings; c NULL: all files. */
static void remove_files(struct copying *c, const char *state_file)
{
	_cleanup_rights_ struct rights lesser = path_rights_beside(state_file);
	_cleanup_free_ char *pattern = NULL;
	glob_t found;

	if (asprintf(&pattern, "%s.*", state_file) < 0 || glob(pattern, GLOB_NOSORT, NULL, &found))
		return;
	for (size_t i = 0; i < found.gl_pathc; i++)
		if (!c || !in_use(c, found.gl_pathv[i]))
			unlink(found.gl_pathv[i]);
	globfree(&found);
}

void copying_forget(const char *state_file)
{
	remove_files(NULL, state_file);
}

int copying_new(struct mappings *m, const struct copying_limits *limits, const char *state_file, struct copying **ret)
{
	struct copying *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->m = m;
	c->lease_stamps = -1;
	c->limits = *limits;
	c->mapping = calloc(MAX_MAPPINGS, sizeof(*c->mapping));
	c->state_file = state_file ? strdup(state_file) : NULL;
	if (!c->mapping || (state_file && !c->state_file)) {
		copying_free(c);
		return -ENOMEM;
	}
	for (unsigned i = 0; i < MAX_MAPPINGS; i++)
		c->mapping[i].marks.fd = -1;
	for (unsigned p = 1; p <= COPYING_PEERS; p++)
		copied_tables_link(c, p);
	copied_mappings_sync(c);
	marks_settle_found(c);
	if (state_file)
		remove_files(c, state_file);
	/* A kernel that refuses it says so at the start; announced sessions load it again. */
	(void)copy_program_load(&c->program, mappings_datapath(m));
	sessions_on_act(m, copying_closed, c);
	*ret = c;
	return 0;
}

void copying_free(struct copying *c)
{
	if (!c)
		return;
	sessions_on_act(c->m, NULL, NULL);
	copied_mappings_free(c);
	moved_free(&c->moved);
	hash_free(&c->beyond);
	hash_free(&c->waiting);
	ended_free(&c->ended);
	copied_leases_end(c);
	copied_grants_end(c);
	copied_rules_free(c);
	copy_program_unload(&c->program);
	for (unsigned p = 1; p <= COPYING_PEERS; p++)
		copied_tables_free(&c->peer[p]);
	free(c->state_file);
	free(c);
}

void copying_set_limits(struct copying *c, const struct copying_limits *limits)
{
	c->limits = *limits;
	for (unsigned p = 1; p <= COPYING_PEERS; p++)
		c->peer[p].compared_generation = 0;
}

void copying_set_portmaps(struct copying *c, struct portmaps *portmaps, int lease_stamps)
{
	c->portmaps = portmaps;
	c->lease_stamps = lease_stamps;
	c->rules_stale = true;
	copied_leases_begin(c);
}

void copying_set_order(struct copying *c, const uint64_t order[COPYING_PEERS + 1])
{
	memcpy(c->order, order, sizeof(c->order));
	c->peers = 0;
	for (unsigned p = 1; p <= COPYING_PEERS; p++)
		c->peers |= (uint8_t)((order[p] != 0) << p);
}

bool copying_claims_win(const struct copying *c, unsigned peer)
{
	return c->order[peer] > c->order[0];
}

void copying_known(struct copying *c, unsigned peer, uint64_t pass_ms)
{
	struct copying_peer *p = &c->peer[peer];

	p->known_ms = pass_ms > p->known_ms ? pass_ms : p->known_ms;
}

void copying_mappings_changed(struct copying *c)
{
	c->rules_stale = c->reach_stale = true;
	copied_mappings_sync(c);
}

/* Counts the sessions in a subscriber's extent. */
static void count_beyond(const struct copying *c, const struct mapping *m, const struct subscriber *s, uint32_t now,
			 struct copying_subscriber *ret)
{
	uint32_t n, extent = subscriber_extent(s);
	const struct slot *slots = extent ? datapath_extent(mappings_datapath(c->m), extent, &n) : NULL;

	for (uint32_t i = 0; slots && i < n; i++) {
		uint64_t word = load_word(&slots[i]);

		if (word_counts(word, now, m->timeout_ticks))
			++*(word_owner(word) ? &ret->copies[word_owner(word)] : &ret->own);
	}
}

int copying_subscriber(const struct copying *c, uint8_t tenant, uint32_t in_addr, struct copying_subscriber *ret)
{
	int number = mappings_find_inside(c->m, tenant, in_addr);
	const struct copied_mapping *cm = number < 0 ? NULL : &c->mapping[number];
	const struct mapping *record;
	const struct slot *slots;
	const uint16_t *marks;
	uint32_t n, now;

	if (!cm || !cm->used)
		return -ENOENT;
	record = mappings_get(c->m, number);
	n = mapping_subscriber(&record->geo, in_addr);
	slots = (const struct slot *)mappings_buckets(c->m, number, n);
	marks = copy_marks_of(&cm->marks, n);
	now = datapath_ticks(mappings_datapath(c->m));
	*ret = (struct copying_subscriber){ 0 };
	for (uint32_t i = 0; i < cm->tables.n_slots; i++) {
		uint64_t word = load_word(&slots[i]), key;
		unsigned peer;

		if (!word_counts(word, now, record->timeout_ticks) || !read_slot(&slots[i], word, &key))
			continue;
		peer = marks ? mark_peer(marks[i]) : 0;
		if (peer &&
		    mark_holds(marks[i], key, word, copy_vouched(&cm->marks, n, peer), now, record->timeout_ticks))
			ret->copies[peer]++;
		else
			ret->own++;
	}
	count_beyond(c, record, mappings_subscriber(c->m, number, n), now, ret);
	return 0;
}

uint32_t copying_copies(const struct copying *c, int number, uint32_t subscriber, uint64_t *bits)
{
	const struct copied_mapping *cm = &c->mapping[number];
	const struct mapping *record = mappings_get(c->m, number);
	const uint16_t *marks = cm->used ? copy_marks_of(&cm->marks, subscriber) : NULL;
	const struct slot *slots = (const struct slot *)mappings_buckets(c->m, number, subscriber);
	uint32_t now = datapath_ticks(mappings_datapath(c->m)), n = 0;

	for (uint32_t i = 0; marks && i < cm->tables.n_slots; i++) {
		unsigned peer = mark_peer(marks[i]);
		uint64_t word = peer ? load_word(&slots[i]) : 0, key;

		if (!peer || !read_slot(&slots[i], word, &key) ||
		    !mark_holds(marks[i], key, word, copy_vouched(&cm->marks, subscriber, peer), now,
				record->timeout_ticks))
			continue;
		bits[i / 64] |= 1ULL << i % 64;
		n++;
	}
	return n;
}

uint64_t copying_told(const struct copying *c)
{
	return c->told;
}

uint64_t copying_held(const struct copying *c, unsigned peer)
{
	return c->peer[peer].held + c->peer[peer].held_beyond;
}

uint64_t copying_memory(const struct copying *c)
{
	uint64_t sum = sizeof(*c) + copied_rules_memory(c) + MAX_MAPPINGS * sizeof(*c->mapping) +
		       moved_memory(&c->moved) + hash_memory(&known_leases, &c->leases.table) +
		       hash_memory(&beyond_notes, &c->beyond) + hash_memory(&waiting_copies, &c->waiting) +
		       ended_memory(&c->ended) + copied_grants_memory(c);

	for (unsigned i = 0; i < MAX_MAPPINGS; i++) {
		const struct copied_mapping *cm = &c->mapping[i];

		if (!cm->used)
			continue;
		sum += cm->tables.n_subscribers * (sizeof(*cm->words) + sizeof(*cm->flags) + sizeof(*cm->holders)) +
		       (uint64_t)cm->tables.n_subscribers * cm->tables.n_slots *
			       (sizeof(*cm->notes) + sizeof(*cm->turns)) +
		       (uint64_t)cm->tables.n_subscribers * cm->tables.n_slots / 8 + copy_marks_memory(&cm->marks);
	}
	return sum;
}
