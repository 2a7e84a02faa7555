/* SPDX-License-Identifier: BSD-2-Clause */
/* Before the gateways `a` and `b`, whose names it uses otherwise. */
#include <detnat/extents.h>

#include "copying_fixture.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"

#include "sessions/check.h"
#include "tables/mapping_changes.h"

struct mapping_spec copying_spec;

/* The programs' own clock, which the sessions' program goes by. */
static void follow_clock(struct datapath *d)
{
	struct bpf_insn clock[] = {
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_jiffies64 },
		{ .code = BPF_ALU64 | BPF_RSH | BPF_K, .dst_reg = 0, .imm = TICK_SHIFT },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .prog_flags = BPF_F_SLEEPABLE);

	close(d->clock);
	d->clock = bpf_prog_load(BPF_PROG_TYPE_SYSCALL, "clock", "GPL", clock, ARRAY_SIZE(clock), &opts);
	cr_assert(d->clock >= 0, "%s", strerror(errno));
}

static uint32_t begins_at;
static bool stands;

/* Has a program read the jiffies of that tick in place of the present ones. */
static int stop_clock(struct bpf_program *prog, struct bpf_prog_load_opts *opts, long cookie)
{
	size_t n = bpf_program__insn_cnt(prog);
	struct bpf_insn *insn = malloc(n * sizeof(*insn));
	int r;

	memcpy(insn, bpf_program__insns(prog), n * sizeof(*insn));
	for (size_t i = 0; i < n; i++)
		if (insn[i].code == (BPF_JMP | BPF_CALL) && !insn[i].src_reg && insn[i].imm == BPF_FUNC_jiffies64)
			insn[i] = (struct bpf_insn){ .code = BPF_ALU64 | BPF_MOV | BPF_K,
						     .imm = (int32_t)(begins_at << TICK_SHIFT) };
	r = bpf_program__set_insns(prog, insn, n);
	free(insn);
	opts->prog_flags |= BPF_F_SLEEPABLE;
	return r;
}

void clocks_begin_at(uint32_t tick)
{
	LIBBPF_OPTS(libbpf_prog_handler_opts, opts, .prog_prepare_load_fn = stop_clock);

	/* An instruction has 32 bits for the jiffies, and their sign. */
	cr_assert_eq((uint32_t)((int64_t)(int32_t)(tick << TICK_SHIFT) >> TICK_SHIFT), tick);
	if (!stands)
		cr_assert_geq(libbpf_register_prog_handler("syscall", BPF_PROG_TYPE_SYSCALL, 0, &opts), 0);
	begins_at = tick;
	stands = true;
}

void clock_set(struct gateway *g, uint32_t tick)
{
	tables_set_ticks(&g->d, tick);
}

struct mapping_spec copying_default_spec(void)
{
	struct mapping_spec spec = tables_spec("10.0.0.0/24", "203.0.113.0/28");

	for (unsigned i = 0; i < N_TIMEOUTS; i++)
		spec.timeout_ticks[i] = 4000;
	return spec;
}

/* A map in memory. */
static void *make_map(const char *name, uint32_t value, uint32_t entries, int *ret_fd)
{
	const struct bpf_map_create_opts opts = { .sz = sizeof(opts), .map_flags = BPF_F_MMAPABLE };
	void *memory;

	*ret_fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, name, sizeof(uint32_t), value, entries, &opts);
	cr_assert_geq(*ret_fd, 0);
	memory = mmap(NULL, (size_t)value * entries, PROT_READ | PROT_WRITE, MAP_SHARED, *ret_fd, 0);
	cr_assert_neq(memory, MAP_FAILED);
	return memory;
}

static void make_extents(struct datapath *d)
{
	d->extent = make_map("extents", sizeof(struct bucket), GATEWAY_EXTENTS, &d->extents);
	d->extents_size = GATEWAY_EXTENTS * sizeof(struct bucket);
	d->pool = make_map("extent_pool", sizeof(*d->pool), 1, &d->extent_pool);
	d->settings.extent_buckets = GATEWAY_EXTENTS;
}

static void free_extents(struct datapath *d)
{
	munmap(d->extent, d->extents_size);
	munmap(d->pool, sizeof(*d->pool));
	close(d->extents);
	close(d->extent_pool);
	d->extent = NULL;
	d->pool = NULL;
}

void gateway_make(struct gateway *g, const char *state_file)
{
	const struct copying_limits limits = { .min_age_s = 2, .interval_ms = 1000 };
	struct error err = { 0 };
	int r;

	if (!copying_spec.session_slots)
		copying_spec = copying_default_spec();
	*g = (struct gateway){ 0 };
	tables_make(&g->d);
	make_extents(&g->d);
	if (stands)
		clock_set(g, begins_at);
	else
		follow_clock(&g->d);
	cr_assert_eq(mappings_open(&g->d, &g->m, &err), 0, "%s", err.text);
	g->number = tables_add(g->m, &copying_spec);
	cr_assert_eq(copying_new(g->m, &limits, state_file, &g->c), 0);
	r = copy_program_load(&g->opener, &g->d);
	cr_assert_eq(r, 0, "%s", strerror(-r));
}

void gateway_free(struct gateway *g)
{
	copying_free(g->c);
	copy_program_unload(&g->opener);
	free_extents(&g->d);
	mappings_close(g->m);
}

int open_own(struct gateway *g, uint32_t subscriber, uint64_t key, uint16_t out_port, uint8_t proto, uint8_t state,
	     uint16_t slot)
{
	struct session_copies *all = g->opener.requests;

	all->n = 1;
	all->copy[0] = (struct session_copy){
		.key = key,
		.word = state_word(out_port, proto, state, datapath_ticks(&g->d) - 40),
		.subscriber = subscriber,
		.mapping = (uint16_t)g->number,
		.slot = slot,
		.last = datapath_ticks(&g->d),
	};
	cr_assert_eq(copy_program_run(&g->opener), 0, "%s", strerror(errno));
	return all->copy[0].result;
}

uint16_t first_port(const struct gateway *g, uint32_t subscriber, uint16_t in_port)
{
	const struct geometry *geo = &mappings_get(g->m, g->number)->geo;

	return (uint16_t)(mapping_port_lo(geo, subscriber) + mapping_first_choice(geo, in_port));
}

uint32_t first_slot(const struct gateway *g, uint64_t key, uint8_t proto)
{
	const struct mapping *r = mappings_get(g->m, g->number);
	uint32_t first = mapping_first_choice(&r->geo, key_in_port(key));
	struct bucket_pair pair = session_buckets(key_ext_addr(key), key_ext_port(key), proto, first, r->bucket_shift);

	return pair.first * BUCKET_SLOTS + first % BUCKET_SLOTS;
}

uint32_t open_flow(struct gateway *g, uint32_t subscriber, uint16_t in_port, uint8_t n, uint8_t proto, uint8_t state)
{
	uint64_t key = slot_key(0xc6336400U + n, proto == 1 ? 0 : 443, in_port);
	int r = open_own(g, subscriber, key, first_port(g, subscriber, in_port), proto, state,
			 (uint16_t)first_slot(g, key, proto));

	cr_assert_eq(r, COPY_PLACED, "%d", r);
	return g->opener.requests->copy[0].slot;
}

struct slot *slot_at(struct gateway *g, uint32_t subscriber, uint32_t slot)
{
	return (struct slot *)mappings_buckets(g->m, g->number, subscriber) + slot;
}

void end_session(struct gateway *g, uint32_t subscriber, uint32_t slot)
{
	slot_at(g, subscriber, slot)->truth = 0;
	mappings_subscriber(g->m, g->number, subscriber)->sessions--;
}

void touch(struct gateway *g, uint32_t subscriber, uint32_t slot, uint32_t tick)
{
	word_refresh(&slot_at(g, subscriber, slot)->truth, tick);
}

void told_free(struct told *t)
{
	for (unsigned i = 0; i < t->n; i++)
		free(t->payload[i].data);
	t->n = 0;
}

int keep(unsigned type, const void *payload, size_t length, void *arg)
{
	struct told *t = arg;

	if (t->refuse) {
		t->refuse--;
		return -ENOBUFS;
	}
	if (t->room && t->n >= t->room)
		return -ENOBUFS;
	cr_assert(wire_is_of_sessions(type));
	cr_assert_leq(length, WIRE_PAYLOAD_MAX);
	cr_assert_lt(t->n, ARRAY_SIZE(t->payload));
	t->payload[t->n].type = type;
	t->payload[t->n].length = length;
	t->payload[t->n].data = malloc(length + 1);
	if (length)
		memcpy(t->payload[t->n].data, payload, length);
	t->n++;
	return 0;
}

void pass(struct gateway *g, struct told *ret)
{
	int r;

	while ((r = copying_pass(g->c, 100, keep, ret)))
		cr_assert(r == 1 || r == -ENOBUFS, "%d", r);
	g->passes++;
}

void passes(struct gateway *g, struct told *ret)
{
	for (unsigned i = 0; i < 4; i++)
		pass(g, ret);
}

void whole(struct gateway *g, struct told *ret)
{
	struct copying_whole *w;
	int r;

	cr_assert_eq(copying_whole_new(g->c, 1, &w), 0);
	while ((r = copying_whole_step(w, 100, keep, ret)))
		cr_assert(r == 1 || r == -ENOBUFS, "%d", r);
	copying_whole_free(w);
}

void hear(struct gateway *g, unsigned peer, struct told *t)
{
	for (unsigned i = 0; i < t->n; i++) {
		struct copying_table_report report = { 0 };
		int r;

		if (t->payload[i].type == WIRE_MAPPINGS)
			r = copying_mappings(g->c, peer, t->payload[i].data, t->payload[i].length, &report);
		else if (t->payload[i].type == WIRE_MAPPINGS_PART)
			r = copying_mappings_part(g->c, peer, t->payload[i].data, t->payload[i].length, &report);
		else
			do
				r = copying_apply(g->c, peer, t->payload[i].type, t->payload[i].data,
						  t->payload[i].length, &g->counts);
			while (r == 1);
		cr_assert(!r || t->payload[i].type == WIRE_MAPPINGS_PART, "type %u: %s", t->payload[i].type,
			  strerror(-r));
		g->wants_whole |= report.whole;
	}
	told_free(t);
}

void set_orders(struct gateway *one, struct gateway *other)
{
	static const uint64_t lower[COPYING_PEERS + 1] = { 1, 2 }, higher[COPYING_PEERS + 1] = { 2, 1 };

	copying_set_order(one->c, lower);
	copying_set_order(other->c, higher);
}

void connect_gateways(struct gateway *one, struct gateway *other)
{
	struct told of_one = { 0 }, of_other = { 0 };

	set_orders(one, other);

	pass(one, &of_one);
	pass(other, &of_other);
	whole(one, &of_one);
	whole(other, &of_other);
	hear(other, 1, &of_one);
	hear(one, 1, &of_other);
}

void acknowledge(struct gateway *one, struct gateway *other)
{
	usleep(2000);
	copying_known(one->c, 1, monotonic_us() / 1000);
	copying_known(other->c, 1, monotonic_us() / 1000);
}

void exchange(struct gateway *one, struct gateway *other)
{
	struct told of_one = { 0 }, of_other = { 0 };

	passes(one, &of_one);
	hear(other, 1, &of_one);
	passes(other, &of_other);
	hear(one, 1, &of_other);
}

uint32_t sessions_in(struct gateway *g, uint32_t subscriber)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < copying_spec.session_slots; i++)
		n += word_is_live(slot_at(g, subscriber, i)->truth) &&
		     word_state(slot_at(g, subscriber, i)->truth) != SESSION_TIME_WAIT;
	return n;
}

void assert_sound(struct gateway *g)
{
	struct findings f = { 0 };
	struct table_check *c;
	int r;

	cr_assert_eq(table_check_new(g->m, false, &f, &c), 0);
	while ((r = table_check_step(c, 10000)) > 0)
		if (r == TABLE_CHECK_WAITS)
			usleep(200);
	cr_assert_eq(r, TABLE_CHECK_DONE);
	cr_assert_eq(f.n, 0, "%s: %s", f.n ? f.finding[0].where : "", f.n ? f.finding[0].text : "");
	table_check_free(c);
	findings_free(&f);
}

void vouch(struct gateway *g, uint8_t peers_up)
{
	while (copying_vouch(g->c, peers_up, 50))
		;
}

struct gateway a, b;

void pair_make(void)
{
	gateway_make(&a, NULL);
	gateway_make(&b, NULL);
}

void pair_connect(void)
{
	pair_make();
	connect_gateways(&a, &b);
}

void pair_free(void)
{
	gateway_free(&a);
	gateway_free(&b);
}

static char directory[] = "/tmp/copying.XXXXXX";
char pair_file[64];

void pair_make_kept(void)
{
	cr_assert_not_null(mkdtemp(directory));
	snprintf(pair_file, sizeof(pair_file), "%s/copies", directory);
	gateway_make(&a, NULL);
	gateway_make(&b, pair_file);
}

void pair_free_kept(void)
{
	pair_free();
	copying_forget(pair_file);
	cr_assert_eq(rmdir(directory), 0, "files are left: %s", strerror(errno));
}

void pair_sound(void)
{
	assert_sound(&a);
	assert_sound(&b);
}
