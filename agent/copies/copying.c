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

/* The peer whose copy a slot holds; 0: none. */
static unsigned held_from(const struct copying *c, const struct copied_mapping *cm, uint32_t subscriber, uint32_t slot,
			  uint32_t now)
{
	const struct slot *s = (const struct slot *)mappings_buckets(c->m, cm->number, subscriber) + slot;
	const uint16_t *marks = copy_marks_of(&cm->marks, subscriber);
	unsigned peer = marks ? mark_peer(marks[slot]) : 0;
	uint64_t word = peer ? load_word(s) : 0, key;

	return peer && read_slot(s, word, &key) &&
			       mark_holds(marks[slot], key, word, copy_vouched(&cm->marks, subscriber, peer), now,
					  mappings_get(c->m, cm->number)->timeout_ticks)
		       ? peer
		       : 0;
}

int copying_subscriber(const struct copying *c, uint8_t tenant, uint32_t in_addr, struct copying_subscriber *ret)
{
	int number = mappings_find_inside(c->m, tenant, in_addr);
	const struct copied_mapping *cm = number < 0 ? NULL : &c->mapping[number];
	const struct datapath *d = mappings_datapath(c->m);
	uint32_t now = datapath_ticks(d), subscriber, n_beyond;
	const struct slot *slots, *beyond;
	const struct mapping *m;

	if (!cm || !cm->used)
		return -ENOENT;
	m = mappings_get(c->m, number);
	subscriber = mapping_subscriber(&m->geo, in_addr);
	slots = (const struct slot *)mappings_buckets(c->m, number, subscriber);
	beyond = datapath_extent(d, subscriber_extent(mappings_subscriber(c->m, number, subscriber)), &n_beyond);
	*ret = (struct copying_subscriber){ 0 };
	for (uint32_t i = 0; i < cm->tables.n_slots + n_beyond; i++) {
		bool own = i < cm->tables.n_slots;
		uint64_t word = load_word(own ? &slots[i] : &beyond[i - cm->tables.n_slots]);
		unsigned peer = own ? held_from(c, cm, subscriber, i, now) : word_owner(word);

		if (word_counts(word, now, m->timeout_ticks))
			++*(peer ? &ret->copies[peer] : &ret->own);
	}
	return 0;
}

uint32_t copying_copies(const struct copying *c, int number, uint32_t subscriber, uint64_t *bits)
{
	const struct copied_mapping *cm = &c->mapping[number];
	uint32_t now = datapath_ticks(mappings_datapath(c->m)), n = 0;

	for (uint32_t i = 0; cm->used && i < cm->tables.n_slots; i++) {
		if (!held_from(c, cm, subscriber, i, now))
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
