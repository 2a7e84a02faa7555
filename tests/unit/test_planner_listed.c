// SPDX-License-Identifier: BSD-2-Clause
/*
 * The planner's whole results against recorded ones: what becomes of each flow of a made subscriber, demand and rows of
 * made traffic, and plans of files, compared with each other. Cases are in listings/replay.txt, rows.txt and plans.txt.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <detnat/binding.h>

#include "base/address.h"
#include "base/base.h"
#include "base/cleanup.h"
#include "base/fnv.h"
#include "listed.h"
#include "planner/plan_file.h"
#include "planner/planner.h"

#define START_MS 1700000000000LL

static const uint32_t timeouts[N_TIMEOUTS] = {
	[TIMEOUT_UDP] = 300, [TIMEOUT_TCP_ESTABLISHED] = 7440, [TIMEOUT_TCP_TRANSITORY] = 240, [TIMEOUT_ICMP] = 60
};

/* A number after a word of the input; 0: it is not there. */
static uint32_t figure(const char *text, const char *word)
{
	const char *at = strstr(text, word);

	return at ? (uint32_t)strtoul(at + strlen(word), NULL, 10) : 0;
}

static uint32_t random_below(uint64_t *state, uint32_t n)
{
	*state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)((*state >> 33) % (n ? n : 1));
}

static const uint8_t tcp_ends[] = { SESSION_ESTABLISHED, SESSION_TIME_WAIT, SESSION_TRANSITORY | SESSION_RESET,
				    SESSION_ESTABLISHED, SESSION_FIN_WAIT,  SESSION_SYN_SENT };

static int by_first(const void *a, const void *b)
{
	const struct plan_flow *x = a, *y = b;

	return x->first_ms < y->first_ms ? -1 : x->first_ms > y->first_ms;
}

/* Flows of one subscriber: "flows 300 step 40 long 5000 hosts 4 ports 60 udp 0 ..." */
static size_t make_flows(const char *text, struct plan_flow *flow, size_t room)
{
	uint32_t n = figure(text, "flows "), step = figure(text, "step "), longest = figure(text, "long ");
	uint32_t hosts = figure(text, "hosts "), ports = figure(text, "inside "), only = figure(text, "only ");
	uint64_t state = figure(text, "seed ");

	cr_assert_leq(n, room);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t kind = only ? only : random_below(&state, 8);
		struct plan_flow f = { .first_ms = START_MS + (int64_t)random_below(&state, n * step),
				       .in_addr = 0x64400001,
				       .ext_addr = 0x08000000 + random_below(&state, hosts),
				       .ext_port = 443,
				       .in_port = (uint16_t)(1024 + 3 * random_below(&state, ports)) };

		f.last_ms = f.first_ms + (int64_t)random_below(&state, longest + 1);
		f.proto = kind < 3 ? 17 : kind == 3 ? 1 : 6;
		f.state = kind < 3 ? SESSION_UDP : kind == 3 ? SESSION_ICMP : tcp_ends[random_below(&state, 6)];
		f.ext_port = kind == 3 ? 0 : 443;
		f.exact = !random_below(&state, 5);
		if (strstr(text, "table") && !random_below(&state, 3))
			f.timer = 1;
		flow[i] = f;
	}
	qsort(flow, n, sizeof(*flow), by_first);
	return n;
}

static int by_last(const void *a, const void *b, void *arg)
{
	const struct plan_flow *flow = arg;
	const struct plan_flow *x = &flow[*(const uint32_t *)a], *y = &flow[*(const uint32_t *)b];

	return x->last_ms < y->last_ms ? -1 : x->last_ms > y->last_ms;
}

struct hearing {
	FILE *out;
	uint64_t digest, offsets, beyond_ms;
	unsigned heard, beyond, fates[5];
};

static void hear_flow(void *arg, const struct plan_flow *flow, enum replay_fate fate, uint32_t offset)
{
	struct hearing *h = arg;
	const uint64_t one[] = { (uint64_t)flow->first_ms, (uint64_t)fate, offset };

	h->digest = fnv1a(h->digest, one, sizeof(one));
	h->fates[fate]++;
	h->offsets += offset;
	if (h->heard++ < 48)
		fprintf(h->out, "%c%u%c", "JSOPQ"[fate], offset, h -> heard % 24 ? ' ' : '\n');
}

static void hear_beyond(void *arg, int64_t from_ms, int64_t to_ms)
{
	struct hearing *h = arg;

	h->beyond++;
	h->beyond_ms += (uint64_t)(to_ms - from_ms);
}

static void hear_grant(void *arg, uint32_t number, uint32_t from, uint32_t to)
{
	struct hearing *h = arg;

	fprintf(h->out, "\ngrant %u from %u to %u", number, from, to);
}

/* The same twice: nothing is left of the subscriber before. */
static void print_replay(FILE *out, const char *name, const char *text, size_t size)
{
	_cleanup_free_ struct plan_flow *flow = calloc(4096, sizeof(*flow));
	_cleanup_free_ uint32_t *ends = calloc(4096, sizeof(*ends));
	struct replay_plan plan = { .ports = figure(text, "block "),
				    .slots = figure(text, "slots "),
				    .quota = figure(text, "quota "),
				    .bindings = (uint8_t)figure(text, "bindings "),
				    .grow_block = figure(text, "grants of "),
				    .grow_blocks = figure(text, "times "),
				    .grow_idle_ticks = figure(text, "idle ") };
	size_t n = make_flows(text, flow, 4096), n_ends = 0;
	struct hearing h = { .out = out, .digest = FNV1A_BEGIN };
	struct replay *r;

	memcpy(plan.timeout_s, timeouts, sizeof(timeouts));
	r = replay_new(&plan);
	if (!r) {
		fputs("refused\n", out);
		return;
	}
	for (uint32_t i = 0; i < n; i++)
		if (replay_ends(&flow[i]))
			ends[n_ends++] = i;
	qsort_r(ends, n_ends, sizeof(*ends), by_last, flow);
	for (unsigned turn = 0; turn < 2; turn++) {
		const struct replay_ears ears = { hear_flow, hear_beyond, hear_grant, &h };
		struct replay_result result = { 0 };

		h = (struct hearing){ .out = out, .digest = FNV1A_BEGIN };
		cr_assert_eq(replay_subscriber(r, flow, n, ends, n_ends, &result, &ears), 0);
		fprintf(out, "\n%llu sessions: %llu without port, %llu beyond the quota, %llu beyond the slots\n",
			(unsigned long long)result.sessions, (unsigned long long)result.refused_ports,
			(unsigned long long)result.refused_quota, (unsigned long long)result.beyond);
		fprintf(out,
			"joined %u slot %u beyond %u no port %u quota %u, offsets %llu, at most %u beyond for %llu "
			"ms\n",
			h.fates[0], h.fates[1], h.fates[2], h.fates[3], h.fates[4], (unsigned long long)h.offsets,
			h.beyond, (unsigned long long)h.beyond_ms);
		fprintf(out, "all: %016llx\n", (unsigned long long)h.digest);
	}
	replay_free(r);
}

Test(planner, what_becomes_of_each_flow_is_as_recorded)
{
	listed_expect("tests/unit/listings/replay.txt", print_replay);
}

/* Lines of TIME PROTO IN EXT [END] of so many subscribers. */
static void make_traffic(const char *text, FILE *to)
{
	uint32_t n = figure(text, "flows "), step = figure(text, "step "), longest = figure(text, "long ");
	uint64_t state = figure(text, "seed ");

	for (uint32_t i = 0; i < n; i++) {
		uint64_t at = 1700000000ULL + (uint64_t)i * step / 1000;
		/* Some have most of the traffic. */
		uint32_t user = random_below(&state, random_below(&state, figure(text, "users ")) + 1);
		static const char *const protos[] = { "udp", "tcp", "tcp", "icmp" };

		fprintf(to, "%llu %s 100.64.%u.%u:%u 8.8.%u.%u:443", (unsigned long long)at,
			protos[random_below(&state, 4)], user / 7, user,
			1024 + random_below(&state, figure(text, "inside ")), random_below(&state, 2),
			random_below(&state, figure(text, "hosts ")));
		if (random_below(&state, 2))
			fprintf(to, " %llu", (unsigned long long)at + random_below(&state, longest / 1000 + 1));
		fputc('\n', to);
	}
}

static void print_demand(FILE *out, const struct planner_demand *d)
{
	static const char *const names[] = { "sessions", "busiest", "endpoints" };
	static const double shares[] = { 0, 0.5, 0.9, 1 };

	fprintf(out, "%llu subscribers, %llu sessions\n", (unsigned long long)d->subscribers,
		(unsigned long long)d->sessions);
	for (unsigned k = 0; k < 3; k++) {
		fprintf(out, "%s:", names[k]);
		for (uint64_t i = 0; i < d->subscribers; i++)
			fprintf(out, " %u", d->most[k][i]);
		fputs(";", out);
		for (unsigned i = 0; i < 4; i++)
			fprintf(out, " %u", planner_demand_of(d, k, shares[i]));
		fputc('\n', out);
	}
}

static void print_row(FILE *out, const struct planner_settings *s, const struct planner_row *r)
{
	fprintf(out, "ratio %u ports %u slots %u blocks %u reach %u exceed %llu memory %llu\n", r->ratio, r->ports,
		r->slots, r->blocks, r->reach, (unsigned long long)r->exceed,
		(unsigned long long)planner_memory(s, r, 1000));
	fprintf(out, "  sessions %llu no port %llu quota %llu beyond %llu share %.6f refused %llu at once %llu\n",
		(unsigned long long)r->result.sessions, (unsigned long long)r->result.refused_ports,
		(unsigned long long)r->result.refused_quota, (unsigned long long)r->result.beyond, planner_refused(r),
		(unsigned long long)r->subscribers_refused, (unsigned long long)r->beyond_peak);
	fprintf(out, "  grants %llu denied %llu subscribers %llu sessions %llu refused %llu peak %u\n",
		(unsigned long long)r->supply.grants, (unsigned long long)r->supply.denied,
		(unsigned long long)r->supply.subscribers, (unsigned long long)r->supply.sessions_refused,
		(unsigned long long)r->supply.subscribers_refused, r->supply.peak);
}

static void print_rows(FILE *out, const char *name, const char *text, size_t size)
{
	static const uint32_t ratios[] = { 1, 64, 512, 4032, 16128, 64512 };
	struct planner_settings s = { .quota = figure(text, "quota "),
				      .bindings = (uint8_t)figure(text, "bindings "),
				      .scale = figure(text, "percent ") / 100.0,
				      .reserve = figure(text, "reserve ") / 100.0,
				      .growth = { (uint16_t)figure(text, "grants of "),
						  (uint16_t)figure(text, "times ") } };
	int fd = memfd_create("traffic", 0);
	struct planner_row rows[ARRAY_SIZE(ratios)];
	struct traffic_notes notes;
	struct planner_demand d;
	struct collection c;
	struct error err;
	FILE *to = fdopen(dup(fd), "w");

	make_traffic(text, to);
	fclose(to);
	cr_assert_eq(lseek(fd, 0, SEEK_SET), 0);
	memcpy(s.timeout_s, timeouts, sizeof(timeouts));
	collection_init(&c);
	c.memory = figure(text, "memory ");
	memcpy(c.timeout_s, timeouts, sizeof(timeouts));
	cr_assert_eq(collection_read(&c, fd, "FILE", START_MS, &notes, &err), 0, "%s", err.text);
	close(fd);
	cr_assert_eq(planner_demand_read(&c, &s, &d, &err), 0, "%s", err.text);
	fprintf(out, "%llu flows of %llu lines, %lld ms, spilled %s\n", (unsigned long long)c.flows,
		(unsigned long long)notes.lines, (long long)(c.to_ms - c.from_ms), c.spill >= 0 ? "yes" : "no");
	print_demand(out, &d);
	for (size_t i = 0; i < ARRAY_SIZE(ratios); i++)
		rows[i] = planner_row_of(&s, ratios[i]);
	cr_assert_eq(planner_rows_fill(&c, &s, &d, rows, ARRAY_SIZE(ratios), &err), 0, "%s", err.text);
	for (size_t i = 0; i < ARRAY_SIZE(ratios); i++)
		print_row(out, &s, &rows[i]);
	planner_demand_free(&d);
	collection_free(&c);
}

Test(planner, demand_and_rows_of_traffic_are_as_recorded)
{
	listed_expect("tests/unit/listings/rows.txt", print_rows);
}

static int read_plan(FILE *out, const char *text, size_t size, struct plan_file *ret)
{
	char path[64];
	struct error err;
	int fd = memfd_create("plan", 0), r;

	cr_assert_eq(write(fd, text, size), (ssize_t)size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	r = plan_file_read(path, NULL, ret, &err);
	if (r)
		fprintf(out, "refused: %s\n", strchr(err.text + strlen(path), ':') + 1);
	close(fd);
	return r;
}

static void print_part(FILE *out, const struct file_part *p)
{
	fprintf(out,
		"%s to %s: ratio %u ports %u pitch %u from %u to %u slots %u quota %u bindings %u growth %u x %u\n",
		p->in, p->out, p->ratio, p->ports, p->pitch, p->port_lo, p->port_hi, p->slots, p->quota, p->bindings,
		p->growth.block, p->growth.max_blocks);
	if (p->none)
		return;
	for (uint32_t i = 0; i < 2; i++) {
		struct port_block b = mapping_forward(&p->geo, i ? p->in_last : p->in_first);
		char addr[ADDR_TEXT];

		fprintf(out, "  %s %s:%u-%u\n", i ? "last" : "first", addr_format(b.out_addr, addr), b.port_lo,
			b.port_hi);
	}
}

static void print_change(void *arg, const char *tenant, uint32_t in_addr, const struct port_block *before,
			 const struct port_block *after)
{
	char in[ADDR_TEXT], from[ADDR_TEXT], to[ADDR_TEXT];

	fprintf(arg, "  %s%s%s: %s:%u-%u, now %s:%u-%u\n", addr_format(in_addr, in), *tenant ? " of " : "", tenant,
		addr_format(before->out_addr, from), before->port_lo, before->port_hi, addr_format(after->out_addr, to),
		after->port_lo, after->port_hi);
}

/* A plan, or two with "then" between, which are compared. */
static void print_plans(FILE *out, const char *name, const char *text, size_t size)
{
	const char *then = memmem(text, size, "\nthen\n", 6);
	struct plan_file f = { 0 }, g = { 0 };
	struct plan_changes c;

	if (read_plan(out, text, then ? (size_t)(then - text) : size, &f))
		return;
	for (size_t i = 0; i < f.n; i++)
		print_part(out, &f.part[i]);
	if (then && !read_plan(out, then + 6, size - (size_t)(then + 6 - text), &g)) {
		cr_assert_eq(plan_file_compare(&f, &g, print_change, out, &c), 0);
		fprintf(out, "%llu subscribers: kept %llu moved %llu shifted %llu added %llu removed %llu\n",
			(unsigned long long)c.subscribers, (unsigned long long)c.kept, (unsigned long long)c.moved,
			(unsigned long long)c.shifted, (unsigned long long)c.added, (unsigned long long)c.removed);
	}
	plan_file_free(&f);
	plan_file_free(&g);
}

Test(planner, plans_of_files_and_their_differences_are_as_recorded)
{
	listed_expect("tests/unit/listings/plans.txt", print_plans);
}
