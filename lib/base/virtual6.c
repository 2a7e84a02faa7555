// SPDX-License-Identifier: BSD-2-Clause
#include "base/virtual6.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/array_grow.h"

/* A range: the prefixes, and the virtual address of the first. */
struct range {
	struct prefixes6 of;
	uint32_t first;
	bool kept;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct range *ranges; /* those that are not kept in the order in which they were made */
static size_t n_ranges, room;

static uint64_t size_of(const struct prefixes6 *p)
{
	return (uint64_t)p->last + 1;
}

static unsigned shift_of(const struct prefixes6 *p)
{
	return 64U - p->plen;
}

static uint64_t last_hi(const struct prefixes6 *p)
{
	return p->hi + ((uint64_t)p->last << shift_of(p));
}

static bool within(const struct prefixes6 *p, const struct prefixes6 *of)
{
	return p->plen == of->plen && p->hi >= of->hi && last_hi(p) <= last_hi(of);
}

/* Whether virtual addresses from `first` on are free of others' ranges, or mean in these the same as here. */
static bool agrees(const struct prefixes6 *p, uint32_t first)
{
	uint64_t end = first + size_of(p);

	/* As many that are none come behind the last one: `end` is never so large that it wraps. */
	if (!virtual6_is(first) || !virtual6_is((uint32_t)end - 1))
		return false;
	for (size_t i = 0; i < n_ranges; i++) {
		const struct range *r = &ranges[i];

		if (r->first >= end || first > r->first + r->of.last)
			continue;
		if (r->of.plen != p->plen ||
		    p->hi + ((uint64_t)r->first << shift_of(p)) != r->of.hi + ((uint64_t)first << shift_of(p)))
			return false;
	}
	return true;
}

/* Adds a range that agrees with the others, whose parts it takes the place of. 0 or -ENOMEM. */
static int add(const struct prefixes6 *p, uint32_t first, bool kept)
{
	size_t n = 0;

	for (size_t i = 0; i < n_ranges; i++)
		if (within(p, &ranges[i].of) && first - ranges[i].first <= ranges[i].of.last) {
			ranges[i].kept |= kept;
			return 0;
		}
	if (array_grow(&ranges, n_ranges, &room, sizeof(*ranges)))
		return -ENOMEM;
	for (size_t i = 0; i < n_ranges; i++) {
		if (ranges[i].first - first <= p->last)
			kept |= ranges[i].kept;
		else
			ranges[n++] = ranges[i];
	}
	ranges[n++] = (struct range){ *p, first, kept };
	n_ranges = n;
	return 0;
}

static int claim(const struct prefixes6 *p, uint32_t first)
{
	return agrees(p, first) ? add(p, first, true) : -EEXIST;
}

/* Where a part of them is, the rest may be beside it. */
static bool beside(const struct prefixes6 *p, uint32_t *ret)
{
	for (size_t i = 0; i < n_ranges; i++) {
		uint32_t before = (uint32_t)((ranges[i].of.hi - p->hi) >> shift_of(p));

		*ret = ranges[i].first - before;
		if (within(&ranges[i].of, p) && !(*ret & p->last) && agrees(p, *ret))
			return true;
	}
	return false;
}

/*
 * A cell has as many virtual addresses as a prefix may have subscribers, so whatever prefix comes around another has
 * room for all of its subscribers there, if each has the place in the cell that the last bits of its number say.
 */
#define CELL_BITS SUBSCRIBER_BITS_MAX
#define N_CELLS	  (1U << (32 - VIRTUAL_PLEN - CELL_BITS))

struct cell {
	bool any;      /* has ranges */
	bool taken;    /* the place has another meaning */
	bool own;      /* has ranges of prefixes with the same first bits, at their places */
	unsigned room; /* how many bits the largest block around the place has that has no other meaning */
};

static uint32_t place_in(const struct prefixes6 *p, unsigned cell)
{
	return VIRTUAL_BASE + (cell << CELL_BITS) + ((uint32_t)(p->hi >> shift_of(p)) & ((1U << CELL_BITS) - 1));
}

static void note_range(const struct prefixes6 *p, const struct range *r, unsigned number, struct cell *cell)
{
	const uint32_t first = place_in(p, number), end = r->first + r->of.last;

	cell->any = true;
	if (r->of.plen == p->plen &&
	    p->hi + ((uint64_t)r->first << shift_of(p)) == r->of.hi + ((uint64_t)first << shift_of(p))) {
		cell->own = true;
	} else if (r->first <= first + p->last && first <= end) {
		cell->taken = true;
	} else {
		unsigned bits = 31U - (unsigned)__builtin_clz(first ^ (end < first ? end : r->first));

		cell->room = bits < cell->room ? bits : cell->room;
	}
}

/* How well prefixes are placed in a cell; 0: not at all. A half of the cells is left to those that fill one. */
static unsigned rate(const struct cell *cell, unsigned n_empty)
{
	if (cell->taken)
		return 0;
	return 1 + cell->room + (cell->own ? 64 : 0) + (cell->any || n_empty > N_CELLS / 2 ? 32 : 0);
}

/* The place where what comes around them later finds room around them. */
static bool find_roomy(const struct prefixes6 *p, uint32_t *ret)
{
	struct cell cell[N_CELLS];
	unsigned n_empty = 0, best = 0;

	if ((place_in(p, 0) & ((1U << CELL_BITS) - 1)) + size_of(p) > 1ULL << CELL_BITS)
		return false;
	for (unsigned c = 0; c < N_CELLS; c++)
		cell[c] = (struct cell){ .room = CELL_BITS };
	for (size_t i = 0; i < n_ranges; i++)
		for (unsigned c = (ranges[i].first - VIRTUAL_BASE) >> CELL_BITS;
		     c <= (ranges[i].first - VIRTUAL_BASE + ranges[i].of.last) >> CELL_BITS; c++)
			note_range(p, &ranges[i], c, &cell[c]);
	for (unsigned c = 0; c < N_CELLS; c++)
		n_empty += !cell[c].any;
	for (unsigned c = 0; c < N_CELLS; c++) {
		unsigned rated = rate(&cell[c], n_empty);

		if (rated <= best)
			continue;
		best = rated;
		*ret = place_in(p, c);
	}
	return best > 0;
}

/* The lowest virtual addresses that are free, of a number that is a power of two, as a prefix. */
static bool find_free(const struct prefixes6 *p, uint32_t *ret)
{
	uint64_t first = VIRTUAL_BASE, size = size_of(p);

	while (first + size <= (uint64_t)VIRTUAL_BASE + (1ULL << (32 - VIRTUAL_PLEN))) {
		uint64_t next = first;

		for (size_t i = 0; i < n_ranges; i++) {
			uint64_t end = (uint64_t)ranges[i].first + size_of(&ranges[i].of);

			if (ranges[i].first < first + size && end > first && end > next)
				next = end;
		}
		if (next == first) {
			*ret = (uint32_t)first;
			return true;
		}
		first = (next + size - 1) & ~(size - 1);
	}
	return false;
}

/* Forgets the oldest range that nothing keeps, such as one of a configuration that was refused. */
static bool forget_one(void)
{
	for (size_t i = 0; i < n_ranges; i++) {
		if (ranges[i].kept)
			continue;
		memmove(&ranges[i], &ranges[i + 1], (--n_ranges - i) * sizeof(*ranges));
		return true;
	}
	return false;
}

static int place(const struct prefixes6 *p, uint32_t *ret)
{
	const struct range *around = NULL;
	bool found;

	for (size_t i = 0; i < n_ranges; i++)
		if (within(p, &ranges[i].of) && (!around || ranges[i].of.last > around->of.last))
			around = &ranges[i];
	if (around) {
		*ret = around->first + (uint32_t)((p->hi - around->of.hi) >> shift_of(p));
		return 0;
	}
	found = beside(p, ret) || find_roomy(p, ret) || find_free(p, ret);
	while (!found && forget_one())
		found = find_free(p, ret);
	return found ? add(p, *ret, false) : -ENOSPC;
}

int virtual6_place(const struct prefixes6 *p, struct prefix *ret)
{
	uint32_t first;
	int r;

	pthread_mutex_lock(&lock);
	r = place(p, &first);
	pthread_mutex_unlock(&lock);
	if (!r)
		*ret = prefix_of(first, first + p->last);
	return r;
}

int virtual6_claim(const struct prefixes6 *p, uint32_t first)
{
	int r;

	if (!virtual6_is(first) || p->last >= 1U << (32 - VIRTUAL_PLEN) || p->plen < SUBSCRIBER_PLEN_MIN ||
	    p->plen > SUBSCRIBER_PLEN_MAX)
		return -EINVAL;
	pthread_mutex_lock(&lock);
	r = claim(p, first);
	pthread_mutex_unlock(&lock);
	return r;
}

void virtual6_keep(uint32_t first)
{
	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < n_ranges; i++)
		ranges[i].kept |= first - ranges[i].first <= ranges[i].of.last;
	pthread_mutex_unlock(&lock);
}

bool virtual6_prefixes(struct prefix in, struct prefixes6 *ret)
{
	bool known = false;

	if (!prefix_is_virtual(in))
		return false;
	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < n_ranges && !known; i++) {
		const struct range *r = &ranges[i];

		known = in.base >= r->first && prefix_last(in) - r->first <= r->of.last;
		if (known)
			*ret = (struct prefixes6){ r->of.hi + ((uint64_t)(in.base - r->first) << shift_of(&r->of)),
						   prefix_last(in) - in.base, r->of.plen };
	}
	pthread_mutex_unlock(&lock);
	return known;
}

bool virtual6_next(const struct address6 *addr, size_t *at, uint32_t *ret)
{
	bool found = false;

	pthread_mutex_lock(&lock);
	for (; *at < n_ranges && !found; ++*at) {
		const struct range *r = &ranges[*at];
		uint64_t number = (addr->hi - r->of.hi) >> shift_of(&r->of);

		/* That of an address before the range is larger than any. */
		found = number <= r->of.last;
		if (found)
			*ret = r->first + (uint32_t)number;
	}
	pthread_mutex_unlock(&lock);
	return found;
}

void virtual6_forget(void)
{
	pthread_mutex_lock(&lock);
	free(ranges);
	ranges = NULL;
	n_ranges = room = 0;
	pthread_mutex_unlock(&lock);
}

/* ---- Texts */

const char *address6_text(const struct address6 *addr, char text[static INSIDE_TEXT])
{
	const uint64_t octets[2] = { be64_number(addr->hi), be64_number(addr->lo) };

	return inet_ntop(AF_INET6, octets, text, INSIDE_TEXT);
}

static void add_prefix(uint64_t hi, unsigned plen, char *text, size_t size)
{
	char addr[INSIDE_TEXT];

	snprintf(text, size, "%s/%u", address6_text(&(struct address6){ hi, 0 }, addr), plen);
}

const char *prefixes6_text(const struct prefixes6 *p, char text[static INSIDE_TEXT])
{
	unsigned bits = (unsigned)__builtin_popcount(p->last);
	size_t length;

	if (!(p->last & (p->last + 1)) && !((p->hi >> shift_of(p)) & p->last)) {
		add_prefix(p->hi, p->plen - bits, text, INSIDE_TEXT);
		return text;
	}
	add_prefix(p->hi, p->plen, text, INSIDE_TEXT);
	length = strlen(text);
	text[length++] = '-';
	add_prefix(last_hi(p), p->plen, text + length, INSIDE_TEXT - length);
	return text;
}

const char *inside_prefix_text(struct prefix in, char text[static INSIDE_TEXT])
{
	struct prefixes6 p;

	return virtual6_prefixes(in, &p) ? prefixes6_text(&p, text) : prefix_text(in, text);
}

const char *inside_text(uint32_t addr, char text[static INSIDE_TEXT])
{
	struct prefixes6 p;

	return virtual6_prefixes((struct prefix){ addr, 32, 0 }, &p) ? prefixes6_text(&p, text)
								     : addr_format(addr, text);
}

int address6_parse(const char *text, struct address6 *ret)
{
	uint64_t octets[2];

	/* The text of an address with a scope is none, and neither is one with an IPv4 address in it. */
	if (strchr(text, '.') || inet_pton(AF_INET6, text, octets) != 1)
		return -EINVAL;
	*ret = (struct address6){ be64_number(octets[0]), be64_number(octets[1]) };
	return 0;
}

int prefix6_parse(const char *text, struct address6 *ret, unsigned *ret_plen)
{
	const char *slash = strchr(text, '/'), *at = slash ? slash + 1 : "";
	char addr[INET6_ADDRSTRLEN];
	unsigned plen = 0;
	size_t digits = strspn(at, "0123456789");

	if (!digits || digits > 3 || at[digits] || (*at == '0' && digits > 1) || (size_t)(slash - text) >= sizeof(addr))
		return -EINVAL;
	for (size_t i = 0; i < digits; i++)
		plen = plen * 10 + (unsigned)(at[i] - '0');
	memcpy(addr, text, (size_t)(slash - text));
	addr[slash - text] = '\0';
	if (plen > 128 || address6_parse(addr, ret))
		return -EINVAL;
	*ret_plen = plen;
	return 0;
}

int endpoint6_parse(const char *text, struct address6 *ret, uint16_t *ret_port)
{
	const char *end = strchr(text, ']');
	char addr[INET6_ADDRSTRLEN], v4[INSIDE_TEXT];
	struct endpoint e;

	if (*text != '[' || !end || (size_t)(end - text) > sizeof(addr))
		return -EINVAL;
	memcpy(addr, text + 1, (size_t)(end - text - 1));
	addr[end - text - 1] = '\0';
	/* The port is read as that of any endpoint is. */
	if (strlen(end + 1) > 8 || address6_parse(addr, ret))
		return -EINVAL;
	snprintf(v4, sizeof(v4), "0.0.0.0%s", end + 1);
	if (endpoint_parse(v4, &e))
		return -EINVAL;
	*ret_port = e.port;
	return 0;
}

static int parse_one(const char *text, unsigned subscriber_plen, struct prefixes6 *ret)
{
	struct address6 addr;
	unsigned plen;

	if (prefix6_parse(text, &addr, &plen) || plen > subscriber_plen ||
	    subscriber_plen - plen > SUBSCRIBER_BITS_MAX || addr.lo || addr.hi & ~mask64(plen))
		return -EINVAL;
	*ret = prefixes6_of(addr.hi, plen, subscriber_plen);
	return 0;
}

int prefixes6_parse(const char *text, unsigned subscriber_plen, struct prefixes6 *ret)
{
	const char *dash = strchr(text, '-');
	char first[INSIDE_TEXT];
	struct prefixes6 a, b;
	uint64_t number;

	if (subscriber_plen < SUBSCRIBER_PLEN_MIN || subscriber_plen > SUBSCRIBER_PLEN_MAX)
		return -EINVAL;
	if (!dash)
		return parse_one(text, subscriber_plen, ret);
	if ((size_t)(dash - text) >= sizeof(first))
		return -EINVAL;
	memcpy(first, text, (size_t)(dash - text));
	first[dash - text] = '\0';
	if (parse_one(first, subscriber_plen, &a) || parse_one(dash + 1, subscriber_plen, &b) || a.last || b.last ||
	    b.hi < a.hi)
		return -EINVAL;
	number = (b.hi - a.hi) >> shift_of(&a);
	if (number >= 1U << (32 - VIRTUAL_PLEN))
		return -EINVAL;
	*ret = (struct prefixes6){ a.hi, (uint32_t)number, a.plen };
	return 0;
}
