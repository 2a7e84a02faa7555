/* SPDX-License-Identifier: BSD-2-Clause */
/* The lines in which the fast path finds portmaps: <detnat/portmap_lines.h>. */
#include <criterion/criterion.h>

#include <netinet/in.h>
#include <stdlib.h>

#include <detnat/portmap_lines.h>

#include "base/clock.h"
#include "tables/portmap_table.h"
#include "tables_fixture.h"

#define HOSTS 256U
#define EACH  256U /* portmaps of a host: MAX_PORTMAPS in all */

static struct datapath datapath;
static struct mappings *mappings;
static struct portmaps *portmaps;
static struct portmap_line *lines;
static int number;

static void open_portmaps(void)
{
	struct error err = { "" };

	cr_assert_eq(portmaps_open(mappings, &portmaps, &err), 0, "%s", err.text);
}

static void set_up(void)
{
	struct mapping_spec spec = tables_spec("10.0.0.0/24", "203.0.113.0/28");
	struct error err = { "" };

	tables_make(&datapath);
	lines = datapath.portmap_line;
	cr_assert_eq(mappings_open(&datapath, &mappings, &err), 0, "%s", err.text);
	open_portmaps();
	number = tables_add(mappings, &spec);
}

static void tear_down(void)
{
	portmaps_close(portmaps);
	mappings_close(mappings);
}

TestSuite(portmap_lines, .init = set_up, .fini = tear_down, .timeout = 120);

/* The i-th portmap of a host. */
static struct portmap portmap_nr(uint32_t host, uint32_t i)
{
	const struct geometry *g = &mappings_get(mappings, number)->geo;
	struct portmap m = { .in = { g->in_base + host, (uint16_t)(1024 + i) },
			     .proto = i & 1 ? IPPROTO_TCP : IPPROTO_UDP };

	m.out = (struct endpoint){ mapping_out_addr(g, host), (uint16_t)(host * EACH + i) };
	return m;
}

struct found {
	struct portmap_line *line;
	unsigned at;
};

/* Where a portmap's entry of a direction is, of any line: a test that reads all of them. */
static struct found entry_of(const struct portmap *m, enum portmap_direction direction, unsigned *ret_n)
{
	struct endpoint own = direction == PORTMAP_OUT2IN ? m->out : m->in;
	struct endpoint other = direction == PORTMAP_OUT2IN ? m->in : m->out;
	uint32_t first = direction == PORTMAP_OUT2IN ? PORTMAP_LINES : 0;
	struct found found = { NULL, 0 };

	*ret_n = 0;
	for (uint32_t i = first; i < first + PORTMAP_LINES; i++) {
		for (unsigned at = 0; at < PORTMAP_LINE; at++) {
			if (lines[i].addresses[at] != ((uint64_t)own.addr << 32 | other.addr) ||
			    lines[i].ports[at] != ((uint32_t)own.port << 16 | other.port) ||
			    lines[i].proto[at] != m->proto)
				continue;
			found = (struct found){ &lines[i], at };
			(*ret_n)++;
		}
	}
	return found;
}

static unsigned entries_of(const struct portmap *m)
{
	unsigned in, out;

	entry_of(m, PORTMAP_IN2OUT, &out);
	entry_of(m, PORTMAP_OUT2IN, &in);
	return in + out;
}

static uint64_t used_entries(void)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < PORTMAP_LINES_TABLE; i++)
		for (unsigned at = 0; at < PORTMAP_LINE; at++)
			n += lines[i].addresses[at] != 0;
	return n;
}

static void expect_traffic(const struct portmap *m, uint64_t in, uint64_t out)
{
	struct portmap_traffic t;

	portmaps_traffic(portmaps, m, &t);
	cr_expect_eq(t.packets_in, in, "%lu packets in, not %lu", t.packets_in, in);
	cr_expect_eq(t.packets_out, out, "%lu packets out, not %lu", t.packets_out, out);
}

/* Packets that the datapath counts. */
static void count(const struct portmap *m, enum portmap_direction direction, uint64_t packets)
{
	unsigned n;
	struct found e = entry_of(m, direction, &n);

	cr_assert_eq(n, 1);
	e.line->packets[e.at] += packets;
}

Test(portmap_lines, portmap_has_an_entry_for_each_direction_as_long_as_it_exists)
{
	struct portmap m = portmap_nr(3, 7);

	cr_assert_eq(portmaps_put(portmaps, &m), 0);
	cr_expect_eq(entries_of(&m), 2);
	count(&m, PORTMAP_OUT2IN, 5);
	count(&m, PORTMAP_IN2OUT, 3);
	expect_traffic(&m, 5, 3);
	cr_assert_eq(portmaps_put(portmaps, &m), 0);
	cr_expect_eq(entries_of(&m), 2, "put again, it is there once");
	expect_traffic(&m, 5, 3);
	cr_assert_eq(portmaps_del(portmaps, m.proto, m.out), 0);
	cr_expect_eq(used_entries(), 0);
}

Test(portmap_lines, portmap_that_gets_filters_or_an_end_leaves_them_with_its_packets)
{
	struct portmap m = portmap_nr(3, 7), other = m;

	cr_assert_eq(portmaps_put(portmaps, &m), 0);
	count(&m, PORTMAP_OUT2IN, 5);
	cr_assert(portmap_filters_add(&other.filters, 0xc6336407, 32, 0));
	cr_assert_eq(portmaps_put(portmaps, &other), 0);
	cr_expect_eq(used_entries(), 0);
	expect_traffic(&m, 5, 0);
	cr_assert_eq(portmaps_put(portmaps, &m), 0);
	cr_expect_eq(entries_of(&m), 2);
	count(&m, PORTMAP_OUT2IN, 2);
	expect_traffic(&m, 7, 0);
	other = m;
	other.origin = PORTMAP_PCP;
	other.expires_s = boottime_s() + 1000;
	cr_assert_eq(portmaps_put(portmaps, &other), 0);
	cr_expect_eq(used_entries(), 0);
	expect_traffic(&m, 7, 0);
}

/* As entry_of(), by its two lines alone. */
static __u64 *packets_of(const struct portmap *m, enum portmap_direction direction)
{
	struct endpoint own = direction == PORTMAP_OUT2IN ? m->out : m->in;
	struct endpoint other = direction == PORTMAP_OUT2IN ? m->in : m->out;
	uint64_t hash = portmap_line_hash(own.addr, own.port, m->proto);

	for (unsigned second = 0; second < 2; second++) {
		struct portmap_line *line = &lines[portmap_line_number(hash, second, direction)];

		for (unsigned at = 0; at < PORTMAP_LINE; at++)
			if (line->addresses[at] == ((uint64_t)own.addr << 32 | other.addr) &&
			    line->ports[at] >> 16 == own.port && line->proto[at] == m->proto)
				return &line->packets[at];
	}
	return NULL;
}

Test(portmap_lines, as_many_as_there_may_be_find_room_and_keep_their_packets_when_they_are_moved)
{
	unsigned missing = 0, wrong = 0;

	for (uint32_t n = 0; n < HOSTS * EACH; n++) {
		struct portmap m = portmap_nr(n / EACH, n % EACH);
		__u64 *packets;

		cr_assert_eq(portmaps_put(portmaps, &m), 0);
		packets = packets_of(&m, PORTMAP_OUT2IN);
		if (packets)
			*packets = n;
	}
	for (uint32_t n = 0; n < HOSTS * EACH; n++) {
		struct portmap m = portmap_nr(n / EACH, n % EACH);
		__u64 *in = packets_of(&m, PORTMAP_OUT2IN);

		missing += !in + !packets_of(&m, PORTMAP_IN2OUT);
		wrong += in && *in != n;
	}
	cr_expect_eq(missing, 0, "%u entries found no room", missing);
	cr_expect_eq(wrong, 0, "%u entries lost packets", wrong);
	cr_expect_eq(used_entries(), 2UL * HOSTS * EACH);
}

Test(portmap_lines, start_makes_them_anew_whatever_a_killed_agent_left)
{
	struct portmap m = portmap_nr(3, 7), gone = portmap_nr(5, 9), lost = portmap_nr(8, 11);
	uint64_t hash = portmap_line_hash(m.out.addr, m.out.port, m.proto);
	struct portmap_line *second = &lines[portmap_line_number(hash, 1, PORTMAP_OUT2IN)];
	unsigned n;

	cr_assert_eq(portmaps_put(portmaps, &m), 0);
	cr_assert_eq(portmaps_put(portmaps, &lost), 0);
	cr_assert_eq(portmaps_put(portmaps, &gone), 0);
	count(&m, PORTMAP_OUT2IN, 5);
	/* Killed in the middle of a move, of an end and of a beginning, and by something else altogether. */
	second->addresses[2] = (uint64_t)m.out.addr << 32 | m.in.addr;
	second->ports[2] = (uint32_t)m.out.port << 16 | m.in.port;
	second->proto[2] = m.proto;
	second->packets[2] = 2;
	*packets_of(&lost, PORTMAP_IN2OUT) = 1;
	entry_of(&lost, PORTMAP_IN2OUT, &n).line->addresses[entry_of(&lost, PORTMAP_IN2OUT, &n).at] = 0;
	lines[77].addresses[1] = 0x0a00000312345678;
	lines[PORTMAP_LINES + 78].addresses[0] = 0xcb00710012345678;
	cr_expect_eq(entries_of(&m), 3);
	portmaps_close(portmaps);
	open_portmaps();
	cr_expect_eq(entries_of(&m), 2);
	cr_expect_eq(entries_of(&gone), 2);
	cr_expect_eq(entries_of(&lost), 2);
	cr_expect_eq(used_entries(), 6);
	expect_traffic(&m, 7, 0);
}

Test(portmap_lines, check_finds_and_repairs_what_does_not_belong)
{
	struct portmap m = portmap_nr(3, 7);
	struct findings findings = { 0 };

	cr_assert_eq(portmaps_put(portmaps, &m), 0);
	portmaps_audit(portmaps, false, &findings);
	cr_expect_eq(findings.n, 0);
	lines[77].addresses[1] = 0x0a00000312345678;
	portmaps_audit(portmaps, false, &findings);
	cr_expect_eq(findings.n, 1);
	portmaps_audit(portmaps, true, &findings);
	cr_expect_eq(used_entries(), 2);
	findings_free(&findings);
}
