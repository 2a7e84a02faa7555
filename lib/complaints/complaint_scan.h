/* SPDX-License-Identifier: BSD-2-Clause */
/* A scan of a stretch of text, which finds its items from left to right. */
#ifndef DETNAT_COMPLAINT_SCAN_H
#define DETNAT_COMPLAINT_SCAN_H

#include "complaints/complaint_private.h"

/* As much of the text before a value is its label. */
#define LABEL_TEXT 160

/* Ports below are of services (RFC 6335 section 6). */
#define FIRST_FREE_PORT 1024U

/* A scan under way. */
struct scan {
	struct reading *x;
	const struct stretch *s;
	const char *after; /* where the item or number before ends */
	uint32_t addr;	   /* the address before in this stretch, or NONE */
	uint32_t last;	   /* the item before, of any kind */
	bool number;	   /* a number that is no item came after it */
	size_t first;	   /* item of this stretch */
	const char *line;  /* begin of the line of `looked` */
	const char *looked;
	struct label label; /* of the place before, with what was `after` then; NULL: of none */
	const char *labelled, *labelled_after;
	uint32_t zones[SCOPE_ITEMS]; /* stamps of those that differ */
	unsigned n_zones, all_zones;
	const char *more_zones; /* the last that is no item, as there are so many; NULL: none */
};

/* Skips octets that are one of any. */
const char *scan_signs(const char *at, const char *end, const char *any);

/* The begin of the line of a place. Places are asked for in their order. */
const char *scan_line(struct scan *c, const char *at);

/* Where the text before a value begins that is its label: the item before, this line, or the one before at its begin.
 */
const char *scan_label_begin(const struct scan *c, const char *at);

/* What the words before a value say, or if there are none, those of its key. */
struct label scan_label(struct scan *c, const char *at);

/* What is said in parentheses behind a value: "(client)", "(ours)". WORD_SOURCE, WORD_TARGET or 0. */
unsigned scan_role_behind(const struct scan *c, const char *at);

/* Whether a word is the name of a service, such as https. */
bool scan_is_service(const char *at, const char *end);

/* Which way an arrow between two places points: 1 to the right, -1 to the left, 0: there is none. */
int scan_arrow(const char *at, const char *end);

/* Whether what is right behind the digits of a port says that some are missing: "51...", "51***", "51[truncated]". */
bool scan_lacks_digits(struct scan *c, const char *at, const char *end);

/* A port at a place. Its end, or NULL. */
const char *scan_port(const char *at, const char *end, unsigned *ret);

/* Takes the port that a number is by its label. False: it is none. */
bool scan_take_port(struct scan *c, const struct label *l, const char *at, const char *end);

/*
 * The port of an address of "source,target,source port,target port", as packet filters write them. Its begin, or NULL.
 * That of the source ends where its address does, so that the target is read next.
 */
const char *scan_in_four(const struct scan *c, const char *at, const char *end, unsigned *ret, const char **ret_end);

/*
 * The port of an address of "source > target TCP 74 source port > target port [SYN]", as tshark writes packets. As
 * above, but that both end where their addresses do.
 */
const char *scan_in_info(const struct scan *c, const char *at, const char *end, unsigned *ret, const char **ret_end);

/* The port that is joined to an address: "a:p", "a/p", "a#p", "a(p)", "[a]:p", "a.p", "a p ->". Its begin, or NULL. */
const char *scan_joined(struct scan *c, const char *at, const char *end, unsigned *ret, const char **ret_end);

/* Sets where the item before ends. */
void scan_after(struct scan *c, const char *after);

/* What the words around a number say that is a time: an enum rank. */
uint8_t scan_rank(struct scan *c, const char *at);

/* Whether the key of a time, which is its whole value, says that it is of something else than an event. */
bool scan_of_other(struct scan *c, const char *at, const char *end);

/* Takes a time at a place. Returns its end, or NULL if there is none. */
const char *scan_take_time(struct scan *c, const char *at);

/* Takes a zone that stands alone. */
void scan_take_zone(struct scan *c, const char *at, const char *end, const struct claim *zone);

#endif
