/* SPDX-License-Identifier: BSD-2-Clause */
#include "datapath/former_sessions.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <detnat/extents.h>

#include "base/address.h"
#include "base/log.h"
#include "base/virtual6.h"
#include "datapath/chunk_maps.h"
#include "datapath/copy_program.h"
#include "datapath/datapath_private.h"
#include "datapath/former_hash.h"
#include "datapath/migration_private.h"
#include "datapath/pinned.h"

struct former_sessions {
	int map; /* -1: it is pinned, and may be replaced there */
	struct hash_layout layout;
	bool resumed;
	bool leaves; /* what is placed leaves the hash */
	struct copy_program program;
	struct hash_entries
		carried; /* IN2OUT entries, sorted by key, as last seen; with `leaves` those without a place alone */
	size_t n_placed;
	struct subscriber *record; /* those of a chunk, or NULL */
	size_t record_octets;
	uint32_t chunk;
};

void former_sessions_free(struct former_sessions *f)
{
	if (!f)
		return;
	close_fd(&f->map);
	copy_program_unload(&f->program);
	hash_entries_free(&f->carried);
	if (f->record)
		munmap(f->record, f->record_octets);
	free(f);
}

static void free_sessions(struct former_sessions **f)
{
	former_sessions_free(*f);
}

int former_sessions_of_layout(int map, const struct btf *types, bool resumed, struct former_sessions **ret)
{
	__attribute__((cleanup(free_sessions))) struct former_sessions *f = calloc(1, sizeof(*f));
	int r;

	if (!f) {
		close_fd(&map);
		return -ENOMEM;
	}
	f->map = map;
	f->resumed = resumed;
	r = hash_layout_of_types(types, map, &f->layout);
	if (!r)
		*ret = take_pointer(f);
	return r;
}

/* The requests of a run, and the sessions that they are about. */
struct run {
	const struct datapath *d;
	struct former_sessions *f;
	struct hash_entry *session[COPIES_BATCH];
	int r;
};

static void flush(struct run *run)
{
	struct session_copies *all = run->f->program.requests;
	int r = all->n ? copy_program_run(&run->f->program) : 0;

	for (uint32_t i = 0; i < all->n; i++)
		run->session[i]->result = r ? COPY_BUSY : all->copy[i].result;
	all->n = 0;
	if (r && !run->r)
		run->r = r;
}

/* before: the session's word as it was carried over, or 0. */
static void request(struct run *run, struct hash_entry *e, enum copy_request what, uint64_t before)
{
	struct session_copies *all = run->f->program.requests;
	const struct mapping *m = mapping_at_outside(run->d, e->key.out_addr);
	uint32_t n = all->n;

	if (n == COPIES_BATCH) {
		flush(run);
		n = 0;
	}
	all->n = n + 1;
	run->session[n] = e;
	all->copy[n] = (struct session_copy){ .key = slot_key(e->key.ext_addr, e->key.ext_port, e->key.port),
					      .word = e->word,
					      .before = before,
					      .subscriber = mapping_subscriber(&m->geo, e->key.in_addr),
					      .mapping = (uint16_t)(m - run->d->mapping),
					      .slot = COPY_NOT_IN_A_SLOT,
					      .owner = (uint8_t)word_owner(e->word),
					      .inbound = (uint8_t)word_is_inbound(e->word),
					      .request = (uint8_t)what,
					      .last = word_seen(e->word),
					      .turn = (uint8_t)word_turn(e->word),
					      .moves = 1 };
}

/* Ends the sessions that are gone, or on another port, unless other programs have changed them. */
static void end_former(struct run *run, struct hash_entries *now)
{
	struct hash_entries *carried = &run->f->carried;

	for (size_t i = 0; i < carried->n; i++) {
		struct hash_entry *before = &carried->entry[i], *e = hash_find(now, before);

		if (before->placed && (!e || word_out_port(e->word) != word_out_port(before->word)))
			request(run, before, COPY_END, before->word);
		else if (e)
			e->placed = before->placed;
	}
	flush(run);
}

static bool is_over(const struct datapath *d, const struct hash_entry *e)
{
	return word_expired(e->word, datapath_ticks(d), mapping_at_outside(d, e->key.out_addr)->timeout_ticks);
}

/* A subscriber's record, or a line of limits, which are among them; NULL: there is none. */
static struct subscriber *record(const struct datapath *d, struct former_sessions *f, uint32_t number)
{
	uint32_t chunk = number >> SUBSCRIBER_CHUNK_SHIFT;
	char path[PATH_MAX];

	if (!f->record || f->chunk != chunk) {
		_cleanup_close_ int fd =
			outer_chunk(d->subscribers, chunk, chunk_pin(d->pin_dir, CHUNK_SUBSCRIBER, chunk, path));

		if (f->record)
			munmap(f->record, f->record_octets);
		f->record = migration_mmap(fd, &f->record_octets);
		f->chunk = chunk;
	}
	return f->record ? &f->record[number & (SUBSCRIBER_CHUNK - 1)] : NULL;
}

/* Adds to the counts that have a session. */
static void count(struct run *run, const struct hash_entry *e, uint32_t n)
{
	const struct mapping *m = mapping_at_outside(run->d, e->key.out_addr);
	uint32_t subscriber = mapping_subscriber(&m->geo, e->key.in_addr);
	struct subscriber *s = record(run->d, run->f, m->first_subscriber + subscriber);
	struct limit_line *line;

	if (s)
		__atomic_fetch_add(&s->sessions, n, __ATOMIC_ACQ_REL);
	line = m->limited ? (void *)record(run->d, run->f, m->limit.first + subscriber) : NULL;
	if (line)
		__atomic_fetch_add(&line->sessions[limit_protocol_of(e->key.proto)], n, __ATOMIC_ACQ_REL);
}

/* Notes the result of a request to place a session, and makes the counts right. */
static void note(struct run *run, struct hash_entry *e)
{
	bool there = e->result == COPY_EXISTS || e->result == COPY_BEYOND;

	/* The counts of an interrupted start were not brought over; those of the programs to come are another's. */
	if (!e->placed && run->f->resumed && e->result == COPY_PLACED)
		count(run, e, 1);
	else if (!e->placed && !run->f->resumed && run->f->map >= 0 && there)
		count(run, e, -1U);
	e->placed = there || e->result == COPY_PLACED;
}

/* Places the sessions that have no place, and brings over the changes of the others. */
static void place(struct run *run, struct hash_entries *now)
{
	for (size_t i = 0; i < now->n; i++) {
		struct hash_entry *e = &now->entry[i];
		const struct hash_entry *before = e->placed ? hash_find(&run->f->carried, e) : NULL;

		e->result = COPY_BEYOND;
		/* That an earlier agent carried over, and that has ended since, is not to begin anew. */
		if (run->f->resumed && is_over(run->d, e))
			e->placed = true;
		else if (!before || before->word != e->word)
			request(run, e, COPY_TO_EXTENT, before ? before->word : 0);
	}
	flush(run);
	for (size_t i = 0; i < now->n; i++)
		note(run, &now->entry[i]);
}

/* Takes a session out of the hash. Returns 1, and its last word; 0: it was not there any more. */
static bool take_out(const struct datapath *d, struct former_sessions *f, int map, const struct hash_entry *e,
		     uint64_t *ret_word)
{
	const struct mapping *m = mapping_at_outside(d, e->key.out_addr);
	struct subscriber *s;

	if (!hash_take_out(map, &f->layout, e, ret_word))
		return false;
	s = record(d, f, m->first_subscriber + mapping_subscriber(&m->geo, e->key.in_addr));
	if (s)
		__atomic_fetch_sub(&s->beyond, 1, __ATOMIC_ACQ_REL);
	__atomic_fetch_sub(&d->global->beyond, 1, __ATOMIC_ACQ_REL);
	return true;
}

/* Sessions that have a place leave the hash, and the list. */
static void leave(struct run *run, int map, struct hash_entries *now)
{
	struct former_sessions *f = run->f;
	size_t kept = 0;

	for (size_t i = 0; i < now->n; i++) {
		struct hash_entry *e = &now->entry[i];
		uint64_t before = e->word;

		if (!e->placed)
			continue;
		f->n_placed++;
		/* Ended meanwhile, which its former counts have noted. */
		if (!take_out(run->d, f, map, e, &e->word))
			request(run, e, COPY_END, 0);
		else if (e->word != before)
			request(run, e, COPY_TO_EXTENT, before);
	}
	flush(run);
	for (size_t i = 0; i < now->n; i++)
		if (!now->entry[i].placed)
			now->entry[kept++] = now->entry[i];
	now->n = kept;
}

/* The map, for the caller to close. */
static int open_map(const struct datapath *d, const struct former_sessions *f)
{
	return f->map >= 0 ? build_duplicate(f->map) : migration_pin(d->pin_dir, PIN_HASH);
}

int former_sessions_bring_over(const struct datapath *d, struct former_sessions *f)
{
	/*
	 * The settings of the programs to come are not known yet, and loading it twice would take too long. Whoever
	 * reads the events passes over those that nobody wants.
	 */
	struct datapath whole = *d;
	_cleanup_close_ int map = open_map(d, f);
	struct hash_entries now = { 0 };
	struct run run = { .d = d, .f = f };
	int r = map < 0 ? map : hash_read_sessions(d, &f->layout, map, &now);

	whole.settings.extent_buckets = (uint32_t)datapath_extent_buckets(d);
	whole.settings.session_events = 1;
	if (!r && (now.n || f->carried.n))
		r = copy_program_load(&f->program, &whole);
	if (!r && f->program.skeleton) {
		f->program.requests->n = 0;
		end_former(&run, &now);
		place(&run, &now);
		if (f->leaves)
			leave(&run, map, &now);
		r = run.r;
	}
	if (now.entry) {
		hash_entries_free(&f->carried);
		f->carried = now;
	}
	return r;
}

static const struct {
	enum copy_result result;
	const char *text;
} reasons[] = {
	{ COPY_NO_SLOT, "no room is left for them, or no more for their subscribers" },
	{ COPY_PORT, "others have their ports" },
	{ COPY_QUOTA, "their subscribers are at their quotas" },
	{ COPY_IMPOSSIBLE, "their subscribers cannot have them" },
	{ COPY_BUSY, "they could not be placed" },
};

static void say_lost(const struct former_sessions *f, size_t reason)
{
	const struct hash_entry *first = NULL;
	char in[INSIDE_TEXT], ext[INSIDE_TEXT];
	size_t n = 0;

	for (size_t i = 0; i < f->carried.n; i++) {
		const struct hash_entry *e = &f->carried.entry[i];

		if (e->placed || e->result != reasons[reason].result)
			continue;
		first = first ? first : e;
		n++;
	}
	if (first)
		log_warning(
			"%zu sessions beyond the slots are lost, as %s; the first of them is of %s:%u (%s) to %s:%u, "
			"on port %u",
			n, reasons[reason].text, inside_text(first->key.in_addr, in), first->key.port,
			first->key.proto == 6	 ? "TCP"
			: first->key.proto == 17 ? "UDP"
						 : "ICMP",
			addr_format(first->key.ext_addr, ext), first->key.ext_port, word_out_port(first->word));
}

/* Frees the hash, which no program uses any more. The hash itself last: as long as it is there, a start begins anew. */
static void unpin(const struct datapath *d)
{
	char path[PATH_MAX];
	int r;

	unlink(pin_path_of(d, PIN_HASH_LISTS, path));
	unlink(pin_path_of(d, PIN_HASH, path));
	r = pins_mark_in_use(d);
	if (r)
		log_warning("%s cannot be made anew: %s", path, strerror(-r));
}

size_t former_sessions_end(const struct datapath *d, struct former_sessions *f)
{
	_cleanup_close_ int map = open_map(d, f);
	struct run run = { .d = d, .f = f };
	size_t n;

	f->leaves = f->map < 0;
	former_sessions_bring_over(d, f);
	n = f->n_placed;

	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++)
		say_lost(f, i);
	for (size_t i = 0; i < f->carried.n; i++) {
		struct hash_entry *e = &f->carried.entry[i];

		n += e->placed;
		if (e->placed || f->resumed)
			continue;
		/* Gone in the last moment, it has left its counts by itself. */
		if (!f->leaves || take_out(d, f, map, e, &e->word))
			count(&run, e, -1U);
	}
	if (f->map < 0)
		unpin(d);
	return n;
}

/* Whether a program uses a map. */
static bool uses(int program, uint32_t map)
{
	uint32_t ids[64];
	struct bpf_prog_info info = { .nr_map_ids = ARRAY_SIZE(ids), .map_ids = (uintptr_t)ids };
	uint32_t size = sizeof(info);

	if (bpf_obj_get_info_by_fd(program, &info, &size))
		return false;
	for (uint32_t i = 0; i < info.nr_map_ids && i < ARRAY_SIZE(ids); i++)
		if (ids[i] == map)
			return true;
	return false;
}

int former_sessions_of_build(const struct datapath *d, struct former_sessions **ret)
{
	__attribute__((cleanup(free_sessions))) struct former_sessions *f = NULL;
	_cleanup_close_ int map = migration_pin(d->pin_dir, PIN_HASH);
	int r;

	*ret = NULL;
	if (map < 0 || !hash_is_former(map))
		return 0;
	f = calloc(1, sizeof(*f));
	if (!f)
		return -ENOMEM;
	f->map = -1;
	f->leaves = d->build && uses(d->build->main[ENTRY_INSIDE], map_id(d->extents));
	r = hash_layout_of_8(map, &f->layout);
	if (!r)
		*ret = take_pointer(f);
	return r < 0 ? r : 0;
}
