/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lines of leases-YYYY-MM-DD.jsonl: which customer had which inside address. One object of JSON a line, of the day of
 * its time (UTC):
 *
 *   {"line":7,"time":"2026-01-31T10:00:00Z","event":"start","in_addr":"100.64.16.16","tenant":"a","id":"alice",
 *    "mac":"02:00:00:00:00:01","circuit":"ge-0/0/1.100","session":"192.0.2.9/4711","from":"2026-01-31T10:00:00Z",
 *    "to":null,"hash":"..."}
 *
 * The moment of a statement lies between `early` and `late`, which are left out where they are `time`. `open` repeats a
 * session at the beginning of a day: its last statement was `seen`; broken: what came since is not known to be whole.
 * `packet` names a request that has no time of its own, so that its recording is known when it is sent again. `step`
 * is a clock that was set from `from` to `to`. Texts that are unknown are left out. The hash chains the line to
 * the one before, see base/chain.h. Pure functions.
 */
#ifndef DETNAT_LEASE_LINE_H
#define DETNAT_LEASE_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/error.h"
#include "history/history_record.h"

/* X(constant, word) */
#define LEASE_EVENTS(X)                                                                      \
	X(LEASE_START, "start")	    /* since `from`; until `to`, if nothing is heard */      \
	X(LEASE_INTERIM, "interim") /* continues; until `to`, if nothing is heard */         \
	X(LEASE_STOP, "stop")	    /* ended at `to`; without an address, at each */         \
	X(LEASE_OFF, "off")	    /* all leases of the server in `session` have ended */   \
	X(LEASE_BEGIN, "begin")	    /* recording begins; nothing is known since `from` */    \
	X(LEASE_MARK, "mark")	    /* recording continues */                                \
	X(LEASE_LOST, "lost")	    /* events between `from` and `to` were lost */           \
	X(LEASE_STEP, "step")	    /* the clock was set from `from` to `to` */              \
	X(LEASE_OPEN, "open")	    /* at the beginning of a day; last heard of at `seen` */ \
	X(LEASE_ERASED, "erased")   /* lines of a day, `from` to `to`, were erased */

enum lease_event {
#define X(constant, word) constant,
	LEASE_EVENTS(X)
#undef X
};

/* An IPv4 address as ::ffff:a.b.c.d with plen 128, or an IPv6 prefix with its host bits cleared; plen 0: none. */
struct lease_addr {
	uint8_t octet[16];
	uint8_t plen;
};

#define LEASE_TENANT  64U
#define LEASE_ID      256U
#define LEASE_MAC     64U
#define LEASE_SESSION 512U

/* Texts are printable UTF-8, made so by text_keep() and cut if too long; "": unknown. */
struct lease_line {
	int64_t time;
	enum lease_event event;
	struct lease_addr addr;
	int64_t from;  /* TIME_NONE: unknown */
	int64_t to;    /* TIME_OPEN: unknown */
	int64_t early; /* TIME_NONE: as time; of LEASE_OPEN: `seen` */
	int64_t late;  /* TIME_NONE: as time */
	bool broken;
	uint64_t packet; /* names the request, if its own clock does not date it; 0: none */
	char tenant[LEASE_TENANT];
	char id[LEASE_ID];
	char mac[LEASE_MAC];
	char circuit[LEASE_ID];
	char session[LEASE_SESSION]; /* SERVER/SESSION, or the session alone; SERVER/ for LEASE_OFF */
};

/* Enough for an IPv6 prefix. */
#define LEASE_ADDR_TEXT 56
#define LEASE_LINE_MAX	8192U /* octets of a line that is read */

/* An inside address in host byte order: of an IPv6 subscriber, his prefix. */
struct lease_addr lease_addr_of(uint32_t addr);

/* Whether it is an IPv4 address; *ret is in host byte order. */
bool lease_addr_is_ipv4(const struct lease_addr *a, uint32_t *ret);

/*
 * Iterates over the inside addresses whose lease it is: that of IPv4, or the virtual ones of the IPv6 subscriber with
 * just this prefix. *at is 0 at first. false: there are no more.
 */
bool lease_addr_inside(const struct lease_addr *a, size_t *at, uint32_t *ret);

/* Reads an address or an IPv6 prefix, and writes it. 0 or -EINVAL. */
int lease_addr_parse(const char *text, struct lease_addr *ret);
const char *lease_addr_format(const struct lease_addr *a, char text[static LEASE_ADDR_TEXT]);

/* Clears the bits behind a prefix. */
void lease_addr_clear_host(struct lease_addr *a);

/* A line without an address or texts, and without from and to. */
void lease_line_init(struct lease_line *l, int64_t time, enum lease_event event);

/* Writes the members of a line without its number, hash and braces: "time":...,"to":... */
void lease_line_write(FILE *out, const struct lease_line *l);

/* The same with braces, in memory that the caller frees; *ret_size is its length. NULL: no memory. */
char *lease_line_text(const struct lease_line *l, size_t *ret_size);

/* A hash of its texts but for the tenant, see hash_octets(). */
uint64_t lease_texts_hash(const struct lease_line *l);

/* Reads a line of size octets, without its newline. 0, or -EINVAL with err (may be NULL). Does not check the hash. */
int lease_line_read(const char *line, size_t size, struct lease_line *ret, struct error *err);

const char *lease_event_word(enum lease_event event);

/* Whether lines of an event are about one session and address. */
bool lease_event_of_session(enum lease_event event);

/* The moment of which a line is, between two seconds: those of `early`, `seen`, `time` or `to`, as its event has them.
 */
int64_t lease_line_early(const struct lease_line *l);
int64_t lease_line_late(const struct lease_line *l);

/* Whether a line ends a session at all addresses that it had, and names none. */
bool lease_ends_session(const struct lease_line *l);

/*
 * Whether a line is about an address that is in use by somebody without a lease, by which DHCP gives it to nobody: its
 * client has declined it (RFC 2131 section 3.1), or it answered before it was given. It is a `stop` of no customer.
 */
bool lease_of_stranger(const struct lease_line *l);

/* Of two times. */
static inline int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static inline int64_t most(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static inline int64_t distance(int64_t a, int64_t b)
{
	return a < b ? b - a : a - b;
}

#endif
