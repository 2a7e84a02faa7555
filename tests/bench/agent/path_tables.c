// SPDX-License-Identifier: BSD-2-Clause
/*
 * Writes the tables of a small gateway to files in the current directory, for tests/bench/path.py: 16,384 subscribers,
 * a default route, and one route that leads to all of them. Files in "-limits": the same where subscribers have limits.
 * In "-beyond": where each has an extent of one bucket, by its place among all records, and blocks grow. In "-six":
 * where the subscribers are IPv6 prefixes, with one host each.
 */
#include <stdint.h>
#include <stdio.h>

#include <detnat/extents.h>
#include <detnat/fib.h>
#include <detnat/growth.h>
#include <detnat/mapping.h>
#include <detnat/prefix6.h>
#include <detnat/programs.h>
#include <detnat/stages.h>
#include <detnat/tables.h>

#define INSIDE	0xac100000U /* 172.16.0.0 */
#define OUTSIDE 0xcb007100U /* 203.0.113.0 */
#define NEVER	0x7fffffffU
#define STATION                  \
	{                        \
		2, 0, 0, 0, 0, 2 \
	}
#define HOP_IN	   FIB_HOP_FIRST
#define IF_IN	   2
#define IF_OUT	   3
#define HZ	   1000
#define SESSIONS   63
#define HOSTS	   16384
#define RATE	   1000 /* openings a second */
#define RATIO	   512	/* of subscribers whose blocks grow */
#define BLOCK	   64	/* that is granted */
#define BEYOND	   64	/* subscribers with an extent */
#define SIX	   64	/* subscribers whose host is known */
#define HOST_SHIFT 4
#define HOST_LO	   0x0102030405060708ULL

static int put(const char *name, const void *value, size_t size)
{
	FILE *f = fopen(name, "wb");
	int r = !f || fwrite(value, size, 1, f) != 1;

	return f && fclose(f) ? 1 : r;
}

static int put_mappings(struct fib *fib)
{
	static struct mapping_table t;
	struct mapping *m = &t.mapping[0];

	if (mapping_geometry(INSIDE, 18, OUTSIDE, 28, &m->geo))
		return 1;
	m->bucket_shift = 4;
	m->sessions_per_user = SESSIONS;
	for (int i = 0; i < N_TIMEOUTS; i++)
		m->timeout_ticks[i] = NEVER / 2;
	t.globals = (struct globals){ .epoch = 1,
				      .sources_until = NEVER,
				      .fib_until = NEVER,
				      .pool_first = m->geo.out_base,
				      .pool_last = m->geo.out_base + 15 };
	fib->inside = fib_hint(m->geo.in_base, m->geo.in_plen, INDEX_LEAF);
	fib->outside = fib_hint(m->geo.out_base, m->geo.out_plen, INDEX_LEAF);
	if (put("mappings", &t, sizeof(t)))
		return 1;
	m->limited = 1;
	m->limit = (struct limit_layout){ .first = HOSTS,
					  .sessions = { SESSIONS, SESSIONS, SESSIONS },
					  .interval_ns = limit_interval_ns(RATE),
					  .burst = RATE,
					  .rate = RATE };
	return put("mappings-limits", &t, sizeof(t));
}

/* Twice as many outside addresses, half of whose ports are in no block. */
static int put_beyond(const struct fib *fib)
{
	const struct mapping_parameters p = { .in_base = INSIDE,
					      .last_subscriber = HOSTS - 1,
					      .out_base = OUTSIDE,
					      .last_out = HOSTS / RATIO - 1,
					      .ratio = RATIO,
					      .first_port = MAPPING_FIRST_PORT,
					      .pitch = SESSIONS,
					      .ports_per_host = SESSIONS };
	static struct subscriber record[BEYOND];
	static struct mapping_table t;
	static struct fib its;
	struct mapping *m = &t.mapping[0];

	if (mapping_make(&p, &m->geo))
		return 1;
	m->bucket_shift = 4;
	m->sessions_per_user = SESSIONS;
	m->growth = (struct growth_layout){ BLOCK, 1 };
	for (int i = 0; i < N_TIMEOUTS; i++)
		m->timeout_ticks[i] = NEVER / 2;
	t.globals = (struct globals){ .epoch = 1,
				      .sources_until = NEVER,
				      .fib_until = NEVER,
				      .pool_first = OUTSIDE,
				      .pool_last = OUTSIDE + p.last_out };
	for (uint32_t i = 0; i < BEYOND; i++)
		record[i] = (struct subscriber){ .displaced = ~0U, .hairpins = extent_of(i, 0) << EXTENT_AT };
	its = *fib;
	its.outside = fib_hint(OUTSIDE, 27, INDEX_LEAF);
	return put("mappings-beyond", &t, sizeof(t)) || put("subscribers-beyond", record, sizeof(record)) ||
	       put("fib-beyond", &its, sizeof(its));
}

/* Subscribers of /56, whose virtual addresses are as far apart as those of IPv4 are. */
static int put_six(const struct fib *fib)
{
	static struct host6 host[SIX << HOST_SHIFT];
	static struct mapping_table t;
	static struct indices6 x;
	static struct fib its;
	struct mapping *m = &t.mapping[0];
	struct record6 r = { .in_hi = 0x20010db840000000ULL,
			     .subscriber_plen = 56,
			     .hosts = 1U << HOST_SHIFT,
			     .lowest_mtu = LOWEST_IPV6_MTU };
	const struct address6 prefix = { 0x0064ff9b00000000ULL, 0 };
	const uint32_t programs[] = { PROG_six_out, PROG_six_in, PROG_six_out_slow };

	if (mapping_geometry(VIRTUAL_BASE, 18, OUTSIDE, 28, &m->geo))
		return 1;
	m->geo.flags |= MAPPING_IPV6;
	m->kind = MAPPING_NAT64;
	m->host_shift = HOST_SHIFT;
	m->bucket_shift = 4;
	m->sessions_per_user = SESSIONS;
	for (int i = 0; i < N_TIMEOUTS; i++)
		m->timeout_ticks[i] = NEVER / 2;
	t.globals = (struct globals){
		.epoch = 1, .sources_until = NEVER, .fib_until = NEVER, .pool_first = OUTSIDE, .pool_last = OUTSIDE + 15
	};
	record6_set_prefix(&r, &prefix, 96);
	x.index[0].hint = (struct range6){ .first = r.in_hi,
					   .last = r.in_hi | ~mask64(56 - 14),
					   .virt = VIRTUAL_BASE,
					   .leaf = INDEX_LEAF,
					   .shift = 8 };
	for (uint32_t i = 0; i < SIX; i++)
		host[i << HOST_SHIFT] = (struct host6){ .lo = HOST_LO };
	its = *fib;
	its.inside = fib_hint(VIRTUAL_BASE, 18, INDEX_LEAF);
	its.outside = fib_hint(OUTSIDE, 28, INDEX_LEAF);
	its.first.entry[VIRTUAL_BASE >> 24] = FIB_NODE | VIRTUAL_BASE >> 24;
	its.second[VIRTUAL_BASE >> 24].entry[0] = 16 << 24 | HOP_IN;
	return put("mappings-six", &t, sizeof(t)) || put("records6", &r, sizeof(r)) || put("indices6", &x, sizeof(x)) ||
	       put("hosts6", host, sizeof(host)) || put("fib-six", &its, sizeof(its)) ||
	       put("programs6", programs, sizeof(programs));
}

static int put_routes(struct fib *fib)
{
	struct fib_hop hop = { .dmac = { 2, 0, 0, 0, 0, 1 }, .smac = STATION, .mtu = 1500 };
	const struct device station = { .mac = STATION };

	hop.ifindex = IF_OUT;
	hop.flags = FIB_ROUTED | FIB_RESOLVED | FIB_FAST_OUT | FIB_TC_OUT;
	fib->hop[FIB_HOP_DEFAULT] = hop;
	hop.ifindex = IF_IN;
	hop.flags = FIB_ROUTED | FIB_RESOLVED | FIB_FAST_IN | FIB_TC_IN;
	fib->hop[HOP_IN] = hop;
	fib->first.entry[INSIDE >> 24] = FIB_NODE | INSIDE >> 24;
	for (unsigned i = 16; i < 32; i++)
		fib->second[INSIDE >> 24].entry[i] = 12 << 24 | HOP_IN;
	__builtin_memcpy(&fib->station[IF_IN], station.mac, sizeof(station.mac));
	__builtin_memcpy(&fib->station[IF_OUT], station.mac, sizeof(station.mac));
	return put("fib", fib, sizeof(*fib));
}

int main(void)
{
	const struct settings settings = { .hz = HZ, .redirect = 1, .hairpin = 1 };
	struct settings limits = settings, beyond = settings, six = settings;
	const struct stage_control control = { .generation = 1 };
	static struct fib fib;

	limits.limits = 1;
	beyond.growth = 1;
	beyond.extent_buckets = BEYOND;
	six.six = 1;
	return put_mappings(&fib) || put_routes(&fib) || put_beyond(&fib) || put_six(&fib) ||
	       put("settings", &settings, sizeof(settings)) || put("settings-limits", &limits, sizeof(limits)) ||
	       put("settings-beyond", &beyond, sizeof(beyond)) || put("settings-six", &six, sizeof(six)) ||
	       put("stage_control", &control, sizeof(control));
}
