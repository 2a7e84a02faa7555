/* SPDX-License-Identifier: BSD-2-Clause */
/* The lines in which the fast path finds portmaps, <detnat/portmap_lines.h>: entries made, moved, removed, compared. */
#include <detnat/portmap_lines.h>

#include "tables/portmaps_private.h"

/* Entries that are moved, one after the other, to make room for one. */
#define MOST_MOVES 4U

/* A place of an entry; without a line it is none. */
struct spot {
	struct portmap_line *line;
	unsigned at;
};

/* An entry without its count. */
struct contents {
	uint64_t addresses;
	uint32_t ports;
	uint8_t proto;
};

static struct portmap_line *table_of(const struct portmaps *p)
{
	return mappings_datapath(p->table.m)->portmap_line;
}

static struct contents contents_of(const struct portmap *m, enum portmap_direction direction)
{
	struct endpoint own = direction == PORTMAP_OUT2IN ? m->out : m->in;
	struct endpoint other = direction == PORTMAP_OUT2IN ? m->in : m->out;

	return (struct contents){ (uint64_t)own.addr << 32 | other.addr, (uint32_t)own.port << 16 | other.port,
				  m->proto };
}

static struct contents contents_at(struct spot s)
{
	return (struct contents){ s.line->addresses[s.at], s.line->ports[s.at], s.line->proto[s.at] };
}

static bool same_contents(const struct contents *a, const struct contents *b)
{
	return a->addresses == b->addresses && a->ports == b->ports && a->proto == b->proto;
}

/* Number of one of the two lines of an entry. */
static uint32_t number_of(const struct contents *c, unsigned second, enum portmap_direction direction)
{
	return portmap_line_number(portmap_line_hash((uint32_t)(c->addresses >> 32), c->ports >> 16, c->proto), second,
				   direction);
}

static struct spot find(struct portmap_line *table, const struct contents *c, enum portmap_direction direction)
{
	for (unsigned second = 0; second < 2; second++) {
		struct spot s = { .line = &table[number_of(c, second, direction)] };

		for (; s.at < PORTMAP_LINE; s.at++) {
			struct contents there = contents_at(s);

			if (same_contents(&there, c))
				return s;
		}
	}
	return (struct spot){ NULL, 0 };
}

static struct spot find_free(struct portmap_line *line)
{
	for (unsigned at = 0; at < PORTMAP_LINE; at++)
		if (!line->addresses[at])
			return (struct spot){ line, at };
	return (struct spot){ NULL, 0 };
}

static void write_at(struct spot s, const struct contents *c)
{
	__atomic_store_n(&s.line->packets[s.at], 0, __ATOMIC_RELAXED);
	__atomic_store_n(&s.line->ports[s.at], c->ports, __ATOMIC_RELAXED);
	__atomic_store_n(&s.line->proto[s.at], c->proto, __ATOMIC_RELAXED);
	__atomic_store_n(&s.line->addresses[s.at], c->addresses, __ATOMIC_RELEASE);
}

/* Returns the packets that it counted. */
static uint64_t clear_at(struct spot s)
{
	__atomic_store_n(&s.line->addresses[s.at], 0, __ATOMIC_SEQ_CST);
	return __atomic_exchange_n(&s.line->packets[s.at], 0, __ATOMIC_SEQ_CST);
}

static void count_at(struct spot s, uint64_t packets)
{
	__atomic_fetch_add(&s.line->packets[s.at], packets, __ATOMIC_RELAXED);
}

/* The other line that an entry of a line may be in. */
static uint32_t other_number(struct spot s, uint32_t number)
{
	enum portmap_direction direction = number < PORTMAP_LINES ? PORTMAP_IN2OUT : PORTMAP_OUT2IN;
	struct contents c = contents_at(s);
	uint32_t first = number_of(&c, 0, direction);

	return first == number ? number_of(&c, 1, direction) : first;
}

/* A free place in a line, after so many moves at most. */
static struct spot make_room(struct portmap_line *table, uint32_t number, unsigned moves)
{
	struct spot room = find_free(&table[number]), from = { .line = &table[number] };

	for (; !room.line && moves && from.at < PORTMAP_LINE; from.at++) {
		uint32_t other = other_number(from, number);
		struct contents c;
		struct spot to;

		if (other == number)
			continue;
		to = make_room(table, other, moves - 1);
		/* Moves that led back here have made it already. */
		room = find_free(&table[number]);
		if (room.line || !to.line)
			continue;
		c = contents_at(from);
		write_at(to, &c);
		count_at(to, clear_at(from));
		room = from;
	}
	return room;
}

bool portmap_has_lines(const struct portmap *m)
{
	return !m->filters.n && !m->expires_s;
}

void portmap_line_put(const struct portmaps *p, const struct portmap *m, enum portmap_direction direction)
{
	struct portmap_line *table = table_of(p);
	struct contents c = contents_of(m, direction);
	struct spot room = { NULL, 0 };

	if (!table || find(table, &c, direction).line)
		return;
	for (unsigned second = 0; second < 2 && !room.line; second++)
		room = make_room(table, number_of(&c, second, direction), MOST_MOVES);
	if (room.line)
		write_at(room, &c);
}

uint64_t portmap_line_remove(const struct portmaps *p, const struct portmap *m, enum portmap_direction direction)
{
	struct portmap_line *table = table_of(p);
	struct contents c = contents_of(m, direction);
	struct spot s = table ? find(table, &c, direction) : (struct spot){ NULL, 0 };

	return s.line ? clear_at(s) : 0;
}

uint64_t portmap_line_packets(const struct portmaps *p, const struct portmap *m, enum portmap_direction direction)
{
	struct portmap_line *table = table_of(p);
	struct contents c = contents_of(m, direction);
	struct spot s = table ? find(table, &c, direction) : (struct spot){ NULL, 0 };

	return s.line ? __atomic_load_n(&s.line->packets[s.at], __ATOMIC_RELAXED) : 0;
}

/* Whether an entry is that of a portmap, and of no other place of the table. */
static bool belongs(const struct portmaps *p, struct spot s, enum portmap_direction direction)
{
	struct contents c = contents_at(s), wanted;
	struct endpoint own = { (uint32_t)(c.addresses >> 32), (uint16_t)(c.ports >> 16) };
	struct endpoint other = { (uint32_t)c.addresses, (uint16_t)c.ports };
	const struct portmap *m = portmaps_by_out(p, c.proto, direction == PORTMAP_OUT2IN ? own : other);
	struct spot found = find(table_of(p), &c, direction);

	if (!m || !portmap_has_lines(m) || found.line != s.line || found.at != s.at)
		return false;
	wanted = contents_of(m, direction);
	return same_contents(&c, &wanted);
}

/* Takes away an entry that does not belong where it is: what a killed agent left, or wrote twice. */
static void drop(const struct portmaps *p, struct spot s, enum portmap_direction direction)
{
	struct contents c = contents_at(s);
	uint64_t packets = clear_at(s);
	struct spot twin = find(table_of(p), &c, direction);

	if (twin.line)
		count_at(twin, packets);
}

size_t portmap_lines_settle(const struct portmaps *p, bool repair, portmap_stray strays, void *arg)
{
	struct portmap_line *table = table_of(p);
	size_t n = 0;

	for (uint32_t i = 0; table && i < PORTMAP_LINES_TABLE * PORTMAP_LINE; i++) {
		uint32_t number = i / PORTMAP_LINE;
		enum portmap_direction direction = number < PORTMAP_LINES ? PORTMAP_IN2OUT : PORTMAP_OUT2IN;
		struct spot s = { &table[number], i % PORTMAP_LINE };

		if (!s.line->addresses[s.at] || belongs(p, s, direction))
			continue;
		n++;
		if (strays)
			strays(arg, (uint32_t)(s.line->addresses[s.at] >> 32), (uint16_t)(s.line->ports[s.at] >> 16));
		if (repair)
			drop(p, s, direction);
	}
	for (const struct portmap *m = portmaps_next(p, NULL); repair && m; m = portmaps_next(p, m)) {
		if (!portmap_has_lines(m))
			continue;
		portmap_line_put(p, m, PORTMAP_OUT2IN);
		portmap_line_put(p, m, PORTMAP_IN2OUT);
	}
	return n;
}
