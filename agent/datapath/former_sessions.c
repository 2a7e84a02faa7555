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
#include "base/btf_layout.h"
#include "base/log.h"
#include "datapath/chunk_maps.h"
#include "datapath/copy_program.h"
#include "datapath/datapath_private.h"
#include "datapath/migration_private.h"
#include "datapath/pinned.h"

/* Entries that are read at a time. */
#define BATCH 4096U

/* Fields of the keys and values. Keys have a number for the layout of the blocks, which many layouts share, or a block.
 */
enum field {
	IN_ADDR,
	OUT_ADDR,
	EXT_ADDR,
	PORT,
	EXT_PORT,
	PROTO,
	DIRECTION,
	BLOCKS, /* ratio_shift of the mapping, or the first and the last port */
	N_KEY_FIELDS,
	TRUTH = N_KEY_FIELDS,
	IN_PORT,
	MARK,
	N_FIELDS,
	INBOUND = N_FIELDS, /* only beside a block */
	N_ALL_FIELDS,
};

static const char *const names[N_FIELDS] = {
	"in_addr",   "out_addr",    "ext_addr", "port",	   "ext_port", "proto",
	"direction", "ratio_shift", "truth",	"in_port", "mark",
};

struct layout {
	struct layout_member field[N_ALL_FIELDS];
	bool has_blocks;
	uint32_t key_size;
	uint32_t value_size;
};

/* As layout 8 had them. */
enum direction { IN2OUT, OUT2IN };

struct key8 {
	uint32_t in_addr;
	uint32_t out_addr;
	uint32_t ext_addr;
	uint16_t port; /* the inside one, or of an OUT2IN entry the outside one */
	uint16_t ext_port;
	uint16_t block_lo;
	uint16_t block_hi;
	uint8_t proto;
	uint8_t direction;
	uint16_t pad;
};
_Static_assert(sizeof(struct key8) == 24, "as pinned");

struct session8 {
	uint64_t truth;	  /* the state word; 0 in an OUT2IN entry */
	uint16_t in_port; /* in an OUT2IN entry */
	uint16_t mark;	  /* of a copy: overflow_mark() */
	uint8_t inbound;  /* the outside has opened the session */
	uint8_t pad[3];
};
_Static_assert(sizeof(struct session8) == 16, "as pinned");

#define KEY(name)                                                                               \
	{                                                                                       \
		.offset = offsetof(struct key8, name), .size = sizeof(((struct key8 *)0)->name) \
	}
#define VALUE(name)                                                                                     \
	{                                                                                               \
		.offset = offsetof(struct session8, name), .size = sizeof(((struct session8 *)0)->name) \
	}
static const struct layout of_this_layout = {
	.has_blocks = true,
	.field = { [IN_ADDR] = KEY(in_addr),
		   [OUT_ADDR] = KEY(out_addr),
		   [EXT_ADDR] = KEY(ext_addr),
		   [PORT] = KEY(port),
		   [EXT_PORT] = KEY(ext_port),
		   [PROTO] = KEY(proto),
		   [DIRECTION] = KEY(direction),
		   [BLOCKS] = { .offset = offsetof(struct key8, block_lo), .size = sizeof(uint32_t) },
		   [TRUTH] = VALUE(truth),
		   [IN_PORT] = VALUE(in_port),
		   [MARK] = VALUE(mark),
		   [INBOUND] = VALUE(inbound) },
};
#undef KEY
#undef VALUE

/* An entry. Without gaps, as keys are compared octet by octet. */
struct hash_entry {
	struct hash_key {
		uint32_t in_addr;
		uint32_t out_addr;
		uint32_t ext_addr;
		uint16_t port;
		uint16_t ext_port;
		uint32_t blocks;
		uint8_t proto;
		uint8_t direction;
		uint16_t pad;
	} key;
	uint64_t word; /* as in an extent, with owner and side */
	uint16_t in_port;
	uint8_t result; /* the last one, enum copy_result */
	bool placed;
};
_Static_assert(sizeof(struct hash_key) == 24, "no hidden padding");

struct hash_entries {
	struct hash_entry *entry;
	size_t n;
};

struct former_sessions {
	int map; /* -1: it is pinned, and may be replaced there */
	struct layout layout;
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

static void entries_free(struct hash_entries *list)
{
	free(list->entry);
}

bool former_sessions_fit(const struct btf *types)
{
	struct layout_member member;

	for (unsigned i = 0; i < N_FIELDS; i++)
		if (layout_find(types, i < N_KEY_FIELDS ? "overflow_key" : "overflow_session", names[i], &member) ||
		    member.size > sizeof(uint64_t))
			return false;
	return true;
}

bool former_sessions_is_hash(int map)
{
	struct bpf_map_info info = { 0 };
	uint32_t size = sizeof(info);

	return !bpf_obj_get_info_by_fd(map, &info, &size) && info.type == BPF_MAP_TYPE_LRU_HASH;
}

void former_sessions_free(struct former_sessions *f)
{
	if (!f)
		return;
	close_fd(&f->map);
	copy_program_unload(&f->program);
	entries_free(&f->carried);
	if (f->record)
		munmap(f->record, f->record_octets);
	free(f);
}

static void free_sessions(struct former_sessions **f)
{
	former_sessions_free(*f);
}

/* The map's sizes; whether the fields are within them. */
static int read_sizes(int map, struct layout *l)
{
	struct bpf_map_info info = { 0 };
	uint32_t size = sizeof(info);

	if (bpf_obj_get_info_by_fd(map, &info, &size))
		return -errno;
	for (unsigned i = 0; i < N_ALL_FIELDS; i++)
		if (l->field[i].offset + l->field[i].size > (i < N_KEY_FIELDS ? info.key_size : info.value_size))
			return -EXDEV;
	l->key_size = info.key_size;
	l->value_size = info.value_size;
	return 0;
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
	if (!former_sessions_fit(types))
		return -EXDEV;
	for (unsigned i = 0; i < N_FIELDS; i++)
		layout_find(types, i < N_KEY_FIELDS ? "overflow_key" : "overflow_session", names[i],
			    &f->layout.field[i]);
	r = read_sizes(map, &f->layout);
	if (!r)
		*ret = take_pointer(f);
	return r;
}

static uint64_t number(const struct layout *l, enum field field, const uint8_t *record)
{
	uint64_t n = 0;

	memcpy(&n, record + l->field[field].offset, l->field[field].size);
	return n;
}

/* The state word of a value, as it is in an extent. */
static uint64_t word_of(const struct layout *l, const uint8_t *value)
{
	uint64_t word = number(l, TRUTH, value);
	uint16_t mark = (uint16_t)number(l, MARK, value);

	return word_owned(word, beyond_owner(mark, word), word_turn(word)) |
	       (number(l, INBOUND, value) ? WORD_INBOUND : 0);
}

static struct hash_entry entry_of(const struct layout *l, const uint8_t *key, const uint8_t *value)
{
	return (struct hash_entry){
		.key = { .in_addr = (uint32_t)number(l, IN_ADDR, key),
			 .out_addr = (uint32_t)number(l, OUT_ADDR, key),
			 .ext_addr = (uint32_t)number(l, EXT_ADDR, key),
			 .port = (uint16_t)number(l, PORT, key),
			 .ext_port = (uint16_t)number(l, EXT_PORT, key),
			 .blocks = (uint32_t)number(l, BLOCKS, key),
			 .proto = (uint8_t)number(l, PROTO, key),
			 .direction = (uint8_t)number(l, DIRECTION, key) },
		.word = word_of(l, value),
		.in_port = (uint16_t)number(l, IN_PORT, value),
	};
}

/* Reads all entries, in any order. */
static int read_entries(int map, const struct layout *l, struct hash_entries *ret)
{
	_cleanup_free_ uint8_t *keys = calloc(BATCH, l->key_size), *values = calloc(BATCH, l->value_size);
	uint32_t cursor, *from = NULL;
	int r = keys && values ? 0 : -ENOMEM;
	bool more = true;

	while (!r && more) {
		uint32_t n = BATCH;
		struct hash_entry *grown;

		r = bpf_map_lookup_batch(map, from, &cursor, keys, values, &n, NULL);
		more = r != -ENOENT;
		r = more ? r : 0;
		grown = r || !n ? NULL : reallocarray(ret->entry, ret->n + n, sizeof(*grown));
		if (!r && n && !grown)
			r = -ENOMEM;
		if (grown)
			ret->entry = grown;
		for (uint32_t i = 0; grown && i < n; i++)
			grown[ret->n++] =
				entry_of(l, keys + (size_t)i * l->key_size, values + (size_t)i * l->value_size);
		from = &cursor;
	}
	return r;
}

static int compare(const void *a, const void *b)
{
	const struct hash_entry *left = a, *right = b;

	return memcmp(&left->key, &right->key, sizeof(left->key));
}

static struct hash_entry *find(const struct hash_entries *list, const struct hash_entry *wanted)
{
	return list->n ? bsearch(wanted, list->entry, list->n, sizeof(*wanted), compare) : NULL;
}

static void sort(struct hash_entries *list)
{
	if (list->n)
		qsort(list->entry, list->n, sizeof(*list->entry), compare);
}

const struct mapping *mapping_at_outside(const struct datapath *d, uint32_t out_addr)
{
	uint16_t entry = d->out_nodes[out_addr >> 24].entry[out_addr >> 16 & 255];

	for (unsigned shift = 8; entry && !(entry & INDEX_LEAF); shift -= 8) {
		entry = d->out_nodes[entry & (INDEX_NODES - 1)].entry[out_addr >> shift & 255];
		if (!shift)
			break;
	}
	return entry & INDEX_LEAF ? &d->mapping[entry & (MAX_MAPPINGS - 1)] : NULL;
}

/* The mapping that could have the session of an OUT2IN entry, or NULL. */
static const struct mapping *mapping_of(const struct datapath *d, const struct layout *l, const struct hash_entry *out)
{
	const struct mapping *m = mapping_at_outside(d, out->key.out_addr);
	const struct geometry *g = m ? &m->geo : NULL;
	struct port_block block;

	if (!m || g->out_plen == PLEN_NONE || !mapping_has_inside(g, out->key.in_addr))
		return NULL;
	if (!l->has_blocks)
		return out->key.blocks == g->ratio_shift && mapping_reverse(g, out->key.out_addr, out->key.port) ==
								    mapping_subscriber(g, out->key.in_addr)
			       ? m
			       : NULL;
	block = mapping_forward(g, out->key.in_addr);
	return block.out_addr == out->key.out_addr && out->key.blocks == (block.port_lo | (uint32_t)block.port_hi << 16)
		       ? m
		       : NULL;
}

/* The key of a session's other entry, given its port there. */
static struct hash_entry other_entry(const struct hash_entry *e, uint16_t port)
{
	struct hash_entry other = { .key = e->key };

	other.key.port = port;
	other.key.direction = e->key.direction == IN2OUT ? OUT2IN : IN2OUT;
	return other;
}

/*
 * The IN2OUT entries of the sessions that are there now, to each of which an OUT2IN entry leads; without those that no
 * mapping could have. The caller frees them. 0 or -errno.
 */
static int read_sessions(const struct datapath *d, const struct former_sessions *f, int map, struct hash_entries *ret)
{
	__attribute__((cleanup(entries_free))) struct hash_entries all = { 0 };
	int r = read_entries(map, &f->layout, &all);

	ret->entry = r ? NULL : calloc(all.n + 1, sizeof(*ret->entry));
	if (!ret->entry)
		return r ? r : -ENOMEM;
	sort(&all);
	for (size_t i = 0; i < all.n; i++) {
		const struct hash_entry *out = &all.entry[i];
		struct hash_entry wanted = other_entry(out, out->in_port);
		const struct hash_entry *in;

		if (out->key.direction != OUT2IN || !mapping_of(d, &f->layout, out))
			continue;
		in = find(&all, &wanted);
		if (in && word_out_port(in->word) == out->key.port)
			ret->entry[ret->n++] = *in;
	}
	sort(ret);
	return 0;
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
					      .mark = overflow_mark(word_owner(e->word), e->word),
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
		struct hash_entry *before = &carried->entry[i], *e = find(now, before);

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
		const struct hash_entry *before = e->placed ? find(&run->f->carried, e) : NULL;

		e->result = COPY_BEYOND;
		/* That an earlier agent carried over, and that has ended since, is not to begin anew. */
		if (run->f->resumed && is_over(run->d, e))
			e->placed = true;
		else if (!before || before->word != e->word)
			request(run, e, COPY_TO_OVERFLOW, before ? before->word : 0);
	}
	flush(run);
	for (size_t i = 0; i < now->n; i++)
		note(run, &now->entry[i]);
}

static void write_key(const struct layout *l, const struct hash_key *key, uint8_t *ret)
{
	const uint64_t numbers[N_KEY_FIELDS] = {
		[IN_ADDR] = key->in_addr,     [OUT_ADDR] = key->out_addr, [EXT_ADDR] = key->ext_addr,
		[PORT] = key->port,	      [EXT_PORT] = key->ext_port, [PROTO] = key->proto,
		[DIRECTION] = key->direction, [BLOCKS] = key->blocks,
	};

	memset(ret, 0, l->key_size);
	for (unsigned i = 0; i < N_KEY_FIELDS; i++)
		memcpy(ret + l->field[i].offset, &numbers[i], l->field[i].size);
}

/* Takes a session out of the hash. Returns 1, and its last word; 0: it was not there any more. */
static bool take_out(const struct datapath *d, struct former_sessions *f, int map, const struct hash_entry *e,
		     uint64_t *ret_word)
{
	const struct mapping *m = mapping_at_outside(d, e->key.out_addr);
	uint8_t key[sizeof(struct key8)], value[sizeof(struct session8)];
	struct hash_entry out;
	struct subscriber *s;

	write_key(&f->layout, &e->key, key);
	if (bpf_map_lookup_and_delete_elem(map, key, value))
		return false;
	*ret_word = word_of(&f->layout, value);
	out = other_entry(e, word_out_port(*ret_word));
	write_key(&f->layout, &out.key, key);
	bpf_map_delete_elem(map, key);
	s = record(d, f, m->first_subscriber + mapping_subscriber(&m->geo, e->key.in_addr));
	if (s)
		__atomic_fetch_sub(&s->overflow, 1, __ATOMIC_ACQ_REL);
	__atomic_fetch_sub(&d->global->overflow, 1, __ATOMIC_ACQ_REL);
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
			request(run, e, COPY_TO_OVERFLOW, before);
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
	int r = map < 0 ? map : read_sessions(d, f, map, &now);

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
		entries_free(&f->carried);
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
	char in[ADDR_TEXT], ext[ADDR_TEXT];
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
			n, reasons[reason].text, addr_format(first->key.in_addr, in), first->key.port,
			first->key.proto == 6	 ? "TCP"
			: first->key.proto == 17 ? "UDP"
						 : "ICMP",
			addr_format(first->key.ext_addr, ext), first->key.ext_port, word_out_port(first->word));
}

/* Frees the hash, which no program uses any more. The hash itself last: as long as it is there, a start begins anew. */
static void unpin(const struct datapath *d)
{
	char path[PATH_MAX];

	unlink(pin_path_of(d, PIN_HASH_LISTS, path));
	unlink(pin_path_of(d, PIN_HASH, path));
	if (pins_mark_in_use(d))
		log_warning("%s cannot be made anew: %s", path, strerror(errno));
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
	if (map < 0 || !former_sessions_is_hash(map))
		return 0;
	f = calloc(1, sizeof(*f));
	if (!f)
		return -ENOMEM;
	f->map = -1;
	f->layout = of_this_layout;
	f->leaves = d->build && uses(d->build->main[ENTRY_INSIDE], map_id(d->extents));
	r = read_sizes(map, &f->layout);
	if (!r && f->layout.key_size == sizeof(struct key8) && f->layout.value_size == sizeof(struct session8))
		*ret = take_pointer(f);
	return r;
}
