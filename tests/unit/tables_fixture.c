/* SPDX-License-Identifier: BSD-2-Clause */
#include <arpa/inet.h>
#include <criterion/criterion.h>

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <string.h>
#include <time.h>
#include <sys/mman.h>

#include "tables_fixture.h"

#include <detnat/extents.h>
#include <detnat/portmap_lines.h>
#include <detnat/portmaps.h>

static int make_array(const char *name, uint32_t value_size, uint32_t entries)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);
	int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, name, 4, value_size, entries, &opts);

	if (fd == -EPERM)
		cr_skip_test("making maps needs rights");
	cr_assert(fd >= 0, "%s: %d", name, fd);
	return fd;
}

static int make_outer(const char *name, uint32_t value_size, uint32_t chunk, uint32_t entries, int *ret_inner)
{
	int inner = make_array("inner", value_size, chunk);
	LIBBPF_OPTS(bpf_map_create_opts, opts, .inner_map_fd = (uint32_t)inner);
	int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY_OF_MAPS, name, 4, 4, entries, &opts);

	cr_assert(fd >= 0, "%s: %d", name, fd);
	if (ret_inner)
		*ret_inner = inner;
	else
		close(inner);
	return fd;
}

static void *map_memory(int fd, size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	cr_assert_neq(p, MAP_FAILED);
	return p;
}

void tables_set_ticks(struct datapath *d, uint32_t ticks)
{
	struct bpf_insn clock[] = {
		{ .code = BPF_ALU | BPF_MOV | BPF_K, .dst_reg = 0, .imm = (int32_t)ticks },
		{ .code = BPF_JMP | BPF_EXIT },
	};

	if (d->clock >= 0)
		close(d->clock);
	d->clock = bpf_prog_load(
		BPF_PROG_TYPE_SYSCALL, "clock", "GPL", clock, ARRAY_SIZE(clock),
		&(struct bpf_prog_load_opts){ .sz = sizeof(struct bpf_prog_load_opts), .prog_flags = BPF_F_SLEEPABLE });
	cr_assert(d->clock >= 0);
	cr_assert_eq(datapath_ticks(d), ticks);
}

void tables_make(struct datapath *d)
{
	/* No descriptor anywhere but where one is made below. */
	memset(d, 0xff, sizeof(*d));
	d->pin_dir = NULL;
	d->stranger_host = NULL;
	d->extent = NULL;
	d->pool = NULL;
	d->record6 = NULL;
	d->index6 = NULL;
	d->address6 = NULL;
	d->settings.extent_buckets = 0;
	d->reused = false;
	d->hz = TABLES_HZ;
	d->reused = true; /* an agent before this one may have filled them */
	d->in_index = make_array("in_index", sizeof(struct index_table), 1);
	d->out_index = make_array("out_index", sizeof(struct index_table), 1);
	d->mappings = make_array("mappings", sizeof(struct mapping_table), 1);
	d->subscribers =
		make_outer("subscribers", sizeof(struct subscriber), SUBSCRIBER_CHUNK, MAX_SUBSCRIBER_CHUNKS, NULL);
	d->buckets = make_outer("buckets", sizeof(struct bucket), BUCKET_CHUNK, MAX_BUCKET_CHUNKS, NULL);
	d->grace = make_outer("grace", 8, 1, 1, &d->grace_inner);
	d->portmaps = bpf_map_create(BPF_MAP_TYPE_HASH, "portmaps", sizeof(struct portmap_key),
				     sizeof(struct portmap_value), 2 * PORTMAP_ROOM(MIN_LEASES),
				     &(struct bpf_map_create_opts){ .sz = sizeof(struct bpf_map_create_opts),
								    .map_flags = BPF_F_NO_PREALLOC });
	d->grants = bpf_map_create(BPF_MAP_TYPE_HASH, "grants", sizeof(struct grant_key), sizeof(struct grant_value),
				   4096, NULL);
	cr_assert(d->grants >= 0);
	d->portmap_filters = bpf_map_create(BPF_MAP_TYPE_HASH, "portmap_filters", sizeof(struct portmap_key),
					    sizeof(struct portmap_filters), PORTMAP_ROOM(MIN_LEASES),
					    &(struct bpf_map_create_opts){ .sz = sizeof(struct bpf_map_create_opts),
									   .map_flags = BPF_F_NO_PREALLOC });
	d->untranslated =
		bpf_map_create(BPF_MAP_TYPE_LPM_TRIE, "untranslated", sizeof(struct tenant_prefix_key), 4, MAX_MAPPINGS,
			       &(struct bpf_map_create_opts){ .sz = sizeof(struct bpf_map_create_opts),
							      .map_flags = BPF_F_NO_PREALLOC });
	cr_assert(d->portmaps >= 0 && d->portmap_filters >= 0 && d->untranslated >= 0);
	d->portmap_line = mmap(NULL, sizeof(struct portmap_line) * PORTMAP_LINES_TABLE, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	cr_assert(d->portmap_line != MAP_FAILED);
	d->in_nodes = map_memory(d->in_index, INDEX_NODES * sizeof(struct index_node));
	d->out_nodes = map_memory(d->out_index, INDEX_NODES * sizeof(struct index_node));
	d->table = map_memory(d->mappings, sizeof(struct mapping_table));
	d->mapping = d->table->mapping;
	d->global = &d->table->globals;
	d->fib = calloc(1, sizeof(*d->fib));
	cr_assert_not_null(d->fib);
	tables_set_ticks(d, 100000);
}

uint32_t tables_addr(const char *text)
{
	struct in_addr addr;

	cr_assert_eq(inet_pton(AF_INET, text, &addr), 1);
	return ntohl(addr.s_addr);
}

static struct prefix prefix_read(const char *text)
{
	unsigned a, b, c, d, plen;

	cr_assert_eq(sscanf(text, "%u.%u.%u.%u/%u", &a, &b, &c, &d, &plen), 5);
	return (struct prefix){ a << 24 | b << 16 | c << 8 | d, (uint8_t)plen };
}

struct mapping_spec tables_spec(const char *in, const char *out)
{
	return (struct mapping_spec){
		.in = prefix_read(in),
		.out = prefix_read(out),
		.sessions_per_user = 1000,
		.session_slots = 32,
		.timeout_ticks = { [TIMEOUT_UDP] = 300,
				   [TIMEOUT_TCP_ESTABLISHED] = 7440,
				   [TIMEOUT_TCP_TRANSITORY] = 240,
				   [TIMEOUT_ICMP] = 60 },
	};
}

int tables_add(struct mappings *m, const struct mapping_spec *spec)
{
	struct error err = { 0 };
	struct mapping_job *job;
	int r;

	cr_assert_eq(mappings_add_begin(m, spec, &job, &err), 0, "%s", err.text);
	while ((r = mappings_add_step(job, &err)) > 0)
		nanosleep(&(struct timespec){ .tv_nsec = 100000 }, NULL);
	cr_assert_eq(r, 0, "%s", err.text);
	cr_assert_eq(mappings_add_commit_with(job, &(struct mapping_handover){ 0 }), 0);
	return mappings_find(m, spec->in, spec->out);
}

void tables_reclaim(struct mappings *m)
{
	while (mappings_reclaim_step(m))
		;
}

struct slot *tables_put(struct mappings *m, uint32_t in_addr, uint32_t slot, const struct session *s, uint32_t seen)
{
	int number = mappings_find_any(m, in_addr);
	uint32_t n = in_addr - mappings_get(m, number)->geo.in_base;
	struct slot *at = (struct slot *)mappings_buckets(m, number, n) + slot;

	at->key = slot_key(s->ext_addr, s->ext_port, s->in_port);
	at->truth = state_word(s->out_port, s->proto, s->state, seen);
	if (s->state != SESSION_TIME_WAIT)
		mappings_subscriber(m, number, n)->sessions++;
	return at;
}

/* Room for extents of all subscribers of a test. */
#define EXTENT_BUCKETS_ROOM (1U << 16)
#define EXTENT_SHIFT	    6U

static void make_extents(struct datapath *d)
{
	d->extents_size = EXTENT_BUCKETS_ROOM * sizeof(struct bucket);
	d->extent =
		mmap(NULL, d->extents_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	cr_assert_neq(d->extent, MAP_FAILED);
	d->pool = calloc(1, sizeof(*d->pool));
	cr_assert_not_null(d->pool);
	d->settings.extent_buckets = EXTENT_BUCKETS_ROOM;
}

struct slot *tables_put_beyond(struct mappings *m, uint32_t in_addr, const struct session *s, uint32_t seen)
{
	struct datapath *d = mappings_datapath(m);
	int number = mappings_find_any(m, in_addr);
	const struct geometry *g = &mappings_get(m, number)->geo;
	uint32_t n = mapping_subscriber(g, in_addr);
	struct subscriber *record = mappings_subscriber(m, number, n);
	uint64_t key = slot_key(s->ext_addr, s->ext_port, s->in_port);
	struct bucket_pair pair;

	if (!d->extent)
		make_extents(d);
	if (!subscriber_extent(record)) {
		record->hairpins |= extent_of((uint32_t)d->pool->next, EXTENT_SHIFT) << EXTENT_AT;
		d->pool->next += 1U << EXTENT_SHIFT;
		d->pool->used += 1U << EXTENT_SHIFT;
		cr_assert_leq(d->pool->next, EXTENT_BUCKETS_ROOM);
	}
	pair = extent_pair(subscriber_extent(record), key, s->proto, s->out_port - mapping_port_lo(g, n));
	for (unsigned i = 0; i < 2 * BUCKET_SLOTS; i++) {
		struct slot *at = &d->extent[i < BUCKET_SLOTS ? pair.first : pair.second].slot[i % BUCKET_SLOTS];

		if (at->truth)
			continue;
		at->key = key;
		at->truth = state_word(s->out_port, s->proto, s->state, seen);
		if (s->state != SESSION_TIME_WAIT)
			record->sessions++;
		return at;
	}
	cr_assert_fail("no room in two buckets of an extent");
	return NULL;
}

unsigned tables_beyond(const struct datapath *d)
{
	unsigned n = 0;

	for (uint64_t i = 0; d->pool && i < d->pool->next * BUCKET_SLOTS; i++)
		n += word_is_live(d->extent->slot[i].truth) != 0;
	return n;
}

bool tables_zero(const void *p, size_t size)
{
	const char *c = p;

	return !size || (!c[0] && !memcmp(c, c + 1, size - 1));
}

bool tables_clean(struct mappings *m, int number, bool dirty)
{
	const struct mapping *map = mappings_get(m, number);
	size_t buckets = sizeof(struct bucket) << map->bucket_shift;
	bool clean = true;

	for (uint32_t i = 0; i < prefix_size(map->geo.in_plen); i++) {
		clean &= tables_zero(mappings_subscriber(m, number, i), sizeof(struct subscriber));
		clean &= tables_zero(mappings_buckets(m, number, i), buckets);
		if (dirty) {
			memset(mappings_subscriber(m, number, i), 0xff, sizeof(struct subscriber));
			memset(mappings_buckets(m, number, i), 0xff, buckets);
		}
	}
	return clean;
}
