/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Takes over the overflow of layouts before 8, whose keys had a number for the layout of the blocks, which many layouts
 * share, in place of the block. An OUT2IN entry leads to the IN2OUT entry of its session.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "datapath/migration_private.h"

#define BATCH 4096U

/* Fields of the old keys and values. */
enum old_field {
	OLD_IN_ADDR,
	OLD_OUT_ADDR,
	OLD_EXT_ADDR,
	OLD_PORT,
	OLD_EXT_PORT,
	OLD_PROTO,
	OLD_DIRECTION,
	OLD_BLOCKS, /* ratio_shift of the mapping */
	N_KEY_FIELDS,
	OLD_TRUTH = N_KEY_FIELDS,
	OLD_IN_PORT,
	OLD_MARK,
	N_OLD_FIELDS,
};

static const char *const names[N_OLD_FIELDS] = {
	"in_addr",   "out_addr",    "ext_addr", "port",	   "ext_port", "proto",
	"direction", "ratio_shift", "truth",	"in_port", "mark",
};

struct old_layout {
	struct layout_member field[N_OLD_FIELDS];
	uint32_t key_size;
	uint32_t value_size;
	uint32_t n; /* entries that the map may hold */
};

/* An entry as the old programs wrote it. */
struct old_entry {
	struct overflow_key key; /* without a block */
	uint64_t blocks;
	uint64_t truth;
	uint16_t in_port;
	uint16_t mark;
};

struct old_entries {
	struct old_entry *entry;
	size_t n;
};

static void old_entries_free(struct old_entries *list)
{
	free(list->entry);
}

static bool find_fields(const struct migration *m, struct old_layout *ret)
{
	for (unsigned i = 0; i < N_OLD_FIELDS; i++)
		if (layout_find(m->from, i < N_KEY_FIELDS ? "overflow_key" : "overflow_session", names[i],
				&ret->field[i]) ||
		    ret->field[i].size > sizeof(uint64_t))
			return false;
	return true;
}

bool migration_overflow_fits(const struct migration *m)
{
	struct old_layout l = { 0 };

	return find_fields(m, &l);
}

static int read_layout(const struct migration *m, struct old_layout *ret)
{
	struct bpf_map_info info = { 0 };
	uint32_t size = sizeof(info);

	if (bpf_obj_get_info_by_fd(m->overflow, &info, &size))
		return -errno;
	if (!find_fields(m, ret))
		return -EXDEV;
	for (unsigned i = 0; i < N_OLD_FIELDS; i++)
		if (ret->field[i].offset + ret->field[i].size > (i < N_KEY_FIELDS ? info.key_size : info.value_size))
			return -EXDEV;
	ret->key_size = info.key_size;
	ret->value_size = info.value_size;
	ret->n = info.max_entries;
	return 0;
}

uint32_t migration_overflow_entries(const struct migration *m)
{
	struct old_layout l;

	return m->overflow < 0 || read_layout(m, &l) ? 0 : l.n;
}

static uint64_t number(const struct old_layout *l, enum old_field field, const uint8_t *key, const uint8_t *value)
{
	const struct layout_member *f = &l->field[field];
	uint64_t n = 0;

	memcpy(&n, (field < N_KEY_FIELDS ? key : value) + f->offset, f->size);
	return n;
}

static struct old_entry entry_of(const struct old_layout *l, const uint8_t *key, const uint8_t *value)
{
	return (struct old_entry){
		.key = { .in_addr = (uint32_t)number(l, OLD_IN_ADDR, key, value),
			 .out_addr = (uint32_t)number(l, OLD_OUT_ADDR, key, value),
			 .ext_addr = (uint32_t)number(l, OLD_EXT_ADDR, key, value),
			 .port = (uint16_t)number(l, OLD_PORT, key, value),
			 .ext_port = (uint16_t)number(l, OLD_EXT_PORT, key, value),
			 .proto = (uint8_t)number(l, OLD_PROTO, key, value),
			 .direction = (uint8_t)number(l, OLD_DIRECTION, key, value) },
		.blocks = number(l, OLD_BLOCKS, key, value),
		.truth = number(l, OLD_TRUTH, key, value),
		.in_port = (uint16_t)number(l, OLD_IN_PORT, key, value),
		.mark = (uint16_t)number(l, OLD_MARK, key, value),
	};
}

/* Reads all entries, in any order. */
static int read_entries(const struct migration *m, const struct old_layout *l, struct old_entries *ret)
{
	_cleanup_free_ uint8_t *keys = calloc(BATCH, l->key_size), *values = calloc(BATCH, l->value_size);
	uint32_t cursor, *from = NULL;
	int r = keys && values ? 0 : -ENOMEM;
	bool more = true;

	while (!r && more) {
		uint32_t n = BATCH;
		struct old_entry *grown;

		r = bpf_map_lookup_batch(m->overflow, from, &cursor, keys, values, &n, NULL);
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

static int compare_entries(const void *a, const void *b)
{
	const struct old_entry *left = a, *right = b;
	int keys = memcmp(&left->key, &right->key, sizeof(left->key));

	return keys ? keys : (left->blocks > right->blocks) - (left->blocks < right->blocks);
}

const struct geometry *overflow_mapping(const struct datapath *d, uint32_t out_addr)
{
	uint16_t entry = d->out_nodes[out_addr >> 24].entry[out_addr >> 16 & 255];

	for (unsigned shift = 8; entry && !(entry & INDEX_LEAF); shift -= 8) {
		entry = d->out_nodes[entry & (INDEX_NODES - 1)].entry[out_addr >> shift & 255];
		if (!shift)
			break;
	}
	return entry & INDEX_LEAF ? &d->mapping[entry & (MAX_MAPPINGS - 1)].geo : NULL;
}

/* The session to which an OUT2IN entry leads. False: none, or none that its mapping could have. */
static bool session_of(const struct datapath *d, const struct old_entries *list, const struct old_entry *out,
		       struct migration_overflow *ret)
{
	const struct geometry *g = overflow_mapping(d, out->key.out_addr);
	struct old_entry wanted = { .key = out->key, .blocks = out->blocks };
	const struct old_entry *in;

	if (!g || g->out_plen == PLEN_NONE || !mapping_has_inside(g, out->key.in_addr) ||
	    mapping_reverse(g, out->key.out_addr, out->key.port) != mapping_subscriber(g, out->key.in_addr) ||
	    out->blocks != g->ratio_shift)
		return false;
	wanted.key.port = out->in_port;
	wanted.key.direction = OVERFLOW_IN2OUT;
	in = bsearch(&wanted, list->entry, list->n, sizeof(wanted), compare_entries);
	if (!in || word_out_port(in->truth) != out->key.port)
		return false;
	*ret = (struct migration_overflow){
		.key = overflow_key_in(g, out->key.in_addr, out->in_port, out->key.ext_addr, out->key.ext_port,
				       out->key.proto),
		.session = { .truth = in->truth, .mark = in->mark },
	};
	return true;
}

static int compare_sessions(const void *a, const void *b)
{
	const struct migration_overflow *left = a, *right = b;

	return memcmp(&left->key, &right->key, sizeof(left->key));
}

/* The sessions that are now in the old map, sorted by key; the caller frees them. 0 or -errno. */
static int read_sessions(const struct datapath *d, const struct migration *m, struct migration_overflow **ret,
			 size_t *ret_n)
{
	__attribute__((cleanup(old_entries_free))) struct old_entries list = { 0 };
	struct old_layout l;
	struct migration_overflow *sessions;
	size_t n = 0;
	int r = read_layout(m, &l);

	if (!r)
		r = read_entries(m, &l, &list);
	sessions = r ? NULL : calloc(list.n / 2 + 1, sizeof(*sessions));
	if (!sessions)
		return r ? r : -ENOMEM;
	if (list.n)
		qsort(list.entry, list.n, sizeof(*list.entry), compare_entries);
	for (size_t i = 0; i < list.n && n <= list.n / 2; i++)
		if (list.entry[i].key.direction == OVERFLOW_OUT2IN &&
		    session_of(d, &list, &list.entry[i], &sessions[n]))
			n++;
	if (n)
		qsort(sessions, n, sizeof(*sessions), compare_sessions);
	*ret = sessions;
	*ret_n = n;
	return 0;
}

static const struct migration_overflow *find(const struct migration_overflow *list, size_t n,
					     const struct migration_overflow *wanted)
{
	return n ? bsearch(wanted, list, n, sizeof(*list), compare_sessions) : NULL;
}

static bool add(const struct datapath *d, const struct migration_overflow *s)
{
	const struct overflow_key out = overflow_key_reverse(&s->key, word_out_port(s->session.truth));
	const struct overflow_session reverse = { .in_port = s->key.port };

	/* If the new programs have opened another session meanwhile, that one stays. */
	if (bpf_map_update_elem(d->overflow, &out, &reverse, BPF_NOEXIST))
		return false;
	if (!bpf_map_update_elem(d->overflow, &s->key, &s->session, BPF_NOEXIST))
		return true;
	bpf_map_delete_elem(d->overflow, &out);
	return false;
}

/* Whether a session is unchanged since it was carried over: the new programs have not changed it. */
static bool is_unchanged(const struct datapath *d, const struct migration_overflow *s)
{
	struct overflow_session there;

	return !bpf_map_lookup_elem(d->overflow, &s->key, &there) && there.truth == s->session.truth;
}

static bool remove_session(const struct datapath *d, const struct migration_overflow *s)
{
	const struct overflow_key out = overflow_key_reverse(&s->key, word_out_port(s->session.truth));

	if (!is_unchanged(d, s) || bpf_map_delete_elem(d->overflow, &s->key))
		return false;
	bpf_map_delete_elem(d->overflow, &out);
	return true;
}

/* Carries over a session's present state. `before`: its last state, or NULL. Returns the change of their number. */
static int carry_over(const struct datapath *d, const struct migration_overflow *before,
		      const struct migration_overflow *now)
{
	if (!before)
		return add(d, now);
	if (before->session.truth == now->session.truth && before->session.mark == now->session.mark)
		return 0;
	/* Opened again on another port. */
	if (word_out_port(before->session.truth) != word_out_port(now->session.truth))
		return -remove_session(d, before) + add(d, now);
	if (is_unchanged(d, before))
		bpf_map_update_elem(d->overflow, &now->key, &now->session, BPF_EXIST);
	return 0;
}

int migration_overflow_bring_over(const struct datapath *d, struct migration *m)
{
	_cleanup_free_ struct migration_overflow *now = NULL;
	int64_t more = 0;
	size_t n;
	int r;

	if (m->overflow < 0)
		return 0;
	r = read_sessions(d, m, &now, &n);
	if (r)
		return r;
	for (size_t i = 0; i < m->n_carried; i++)
		if (!find(now, n, &m->carried[i]))
			more -= remove_session(d, &m->carried[i]);
	for (size_t i = 0; i < n; i++)
		more += carry_over(d, find(m->carried, m->n_carried, &now[i]), &now[i]);
	__atomic_fetch_add(&d->global->overflow, more, __ATOMIC_ACQ_REL);
	free(m->carried);
	m->carried = take_pointer(now);
	m->n_carried = n;
	return 0;
}

int migration_overflow_copy(struct datapath *d, struct migration *m, const struct migration_row *row)
{
	/* The counts of the old table are made again here. */
	if (m->overflow >= 0)
		__atomic_store_n(&d->global->overflow, 0, __ATOMIC_RELEASE);
	return migration_overflow_bring_over(d, m);
}
