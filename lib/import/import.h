/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Plans of other carrier-grade NATs, from their configurations or their printed tables. The stages:
 *
 * 	statements with their lines -> rows: inside address, outside address, ports, line -> parts of a plan -> JSON
 *
 * A file a format (format_….c) holds a vendor's grammar and arithmetic, and makes rows of it, one a subscriber. The
 * rest knows only rows. Pure functions on text in memory. Addresses and ports are in host byte order.
 */
#ifndef DETNAT_IMPORT_H
#define DETNAT_IMPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "base/base.h"
#include "plan/plan.h"
#include "proto/collector_endpoint.h"
#include "proto/timeouts.h"
#include "proto/words.h"

/* Protocols of a row, or-ed. */
enum import_protos { IMPORT_TCP = 1, IMPORT_UDP = 2, IMPORT_ICMP = 4, IMPORT_OTHER = 8 };
#define IMPORT_PORTS (IMPORT_TCP | IMPORT_UDP)
#define IMPORT_ALL   (IMPORT_TCP | IMPORT_UDP | IMPORT_ICMP)

/* What one subscriber has there: ports lo..hi of an outside address. */
struct import_row {
	uint32_t in;
	uint32_t out;
	uint16_t lo;
	uint16_t hi;
	uint32_t line : 28; /* of the statement; 0: none */
	uint32_t protos : 4;
};
_Static_assert(sizeof(struct import_row) == 16, "there may be 2^25 of them");

/* The most subscribers of an import, fewer in fuzzers, and the longest file. */
#ifndef IMPORT_MAX_ROWS
#define IMPORT_MAX_ROWS (1U << 25)
#endif
#define IMPORT_MAX_FILE (2ULL << 30)
#define IMPORT_MAX_LINE ((1U << 28) - 1)

/*
 * What an import has to say of a statement. X(constant, word in JSON, whether something is lost). The words of what is
 * lost are a closed list.
 */
#define IMPORT_NOTES(X)                                                                                           \
	X(IMPORT_TAKEN, "taken", false)		     /* taken, with a remark */                                   \
	X(IMPORT_IMPLIED, "implied", false)	     /* a difference that no statement names */                   \
	X(IMPORT_ASSUMED, "assumed", false)	     /* the documents leave it open */                            \
	X(IMPORT_DISABLED, "disabled", false)	     /* not in force there */                                     \
	X(IMPORT_REPEATED, "repeated", false)	     /* the same as an earlier line */                            \
	X(IMPORT_PROTOCOLS, "other-protocols", true) /* protocols without ports, or ports of one protocol only */ \
	X(IMPORT_ICMP_BLOCK, "icmp", true)	     /* ICMP that leaves otherwise */                             \
	X(IMPORT_INBOUND, "inbound", true)	     /* ports forwarded from outside */                           \
	X(IMPORT_EXTENSION, "extension", true)	     /* blocks on demand beyond the plan's */                     \
	X(IMPORT_VRF, "vrf", true)		     /* routing instances */                                      \
	X(IMPORT_EXCEPTION, "exception", true)	     /* exceptions by port or destination */                      \
	X(IMPORT_TWO_BLOCKS, "two-blocks", true)     /* TCP and UDP have different blocks */                      \
	X(IMPORT_LIMIT, "limit", true)		     /* session limits above 65535 */                             \
	X(IMPORT_TIMEOUT, "timeout", true)	     /* timeouts without counterpart */                           \
	X(IMPORT_ALG, "alg", true)		     /* application-level gateways */                             \
	X(IMPORT_DYNAMIC, "dynamic", true)	     /* ports or addresses that no configuration determines */    \
	X(IMPORT_UNKNOWN, "not-understood", true)    /* statements that the importer does not know */             \
	X(IMPORT_UNREACHED, "unreached", true)	     /* rules that an earlier one leaves nothing */               \
	X(IMPORT_IRREGULAR, "irregular", true)	     /* blocks of unequal size or distance */                     \
	X(IMPORT_SHAPE, "shape", true)		     /* blocks that no plan by address or by block has */         \
	X(IMPORT_SHRUNK, "shrunk", true)	     /* fewer ports than there */                                 \
	X(IMPORT_REFUSED, "refused", true)	     /* what the agent does not take */                           \
	X(IMPORT_INTERFACE, "interface", false)	     /* interfaces whose role or name is left open */

enum import_note_kind {
#define X(constant, word, lost) constant,
	IMPORT_NOTES(X)
#undef X
		N_IMPORT_NOTES
};

struct import_note {
	enum import_note_kind kind;
	uint32_t line; /* 0: none */
	char *text;
};

struct import_range {
	uint32_t first;
	uint32_t last;
};

struct import_ranges {
	struct import_range *range;
	size_t n;
	size_t room;
};

struct import_names {
	char (*name)[64];
	size_t n;
};

/* A mapping of the configuration to be written. */
struct import_part {
	struct import_ranges in;
	struct import_ranges out;
	uint32_t ratio;	     /* R */
	uint32_t first_port; /* F */
	uint32_t ports;	     /* P */
	uint32_t pitch;	     /* S */
	bool netmap;
};

/* Ports of an outside address that lead to a subscriber there: a portmap, if it has them here. */
struct import_forward {
	uint32_t line;
	uint8_t protos; /* of IMPORT_PORTS */
	uint16_t n;	/* ports */
	uint32_t in, out;
	uint16_t in_port, out_port; /* the first ones */
};

#define IMPORT_MSS_MTU UINT32_MAX

/* Blocks of these outside addresses grow: ports of a granted block, and how many a subscriber may have. */
struct import_growth {
	struct import_range out;
	uint32_t block, max_blocks;
};

/* A plan as another system has it, and what detnat is to have. */
struct import {
	enum import_format format;
	const char *name; /* of the file; the caller's */
	uint32_t lines;

	struct import_row *row; /* after import_read() by inside address, each once */
	size_t n_rows;
	size_t room;
	uint64_t n_differ; /* subscribers whose protocols have different blocks: no row has them */

	struct import_note *note;
	size_t n_notes;
	uint64_t n_lost;     /* notes of what is lost */
	uint64_t n_disabled; /* statements that are not in force */
	uint32_t decisive;   /* line of the first rule that would have led to the plan and is not understood; 0: none */

	/* What else the configuration says. 0 and empty: nothing. */
	uint32_t timeouts[N_TIMEOUTS];
	uint32_t sessions_per_user;
	uint8_t eim; /* BINDING_… */
	uint8_t eif;
	struct import_names inside;
	struct import_names outside;
	struct collector_endpoint collectors[MAX_COLLECTORS];
	uint32_t n_collectors;
	uint32_t domain_id;
	struct import_ranges untranslated; /* inside addresses that keep their address */
	struct import_ranges bypass;	   /* destinations towards which nothing is translated */

	struct import_growth *growth;
	size_t n_growths;
	struct import_forward *forward; /* after import_fit() those that are portmaps */
	size_t n_forwards;
	uint32_t mss; /* the least limit of the maximum segment size, or IMPORT_MSS_MTU */

	struct import_part *part; /* after import_fit() */
	size_t n_parts;
	uint64_t n_unfit;		     /* rows that no part has */
	uint64_t n_irregular;		     /* of these, with irregular blocks */
	uint32_t irregular_lo, irregular_hi; /* their smallest and largest block */
	uint32_t shrunk_to; /* with them shrunk: the ports that all would keep; 0: they cannot be, or differ */
	bool failed;	    /* out of memory, or too large: see `why` */
	struct error why;
};

/* Which side's address comes first in the lines of a table. */
enum import_first { IMPORT_FIRST_UNKNOWN, IMPORT_INSIDE_FIRST, IMPORT_OUTSIDE_FIRST };

/* Answers to what a document leaves open. */
struct import_options {
	enum import_first first_side;
	int junos_pool_boundaries; /* 1: a pool's first and last addresses are used, 0: not, -1: as documented */
};

/*
 * Reads a file in a format, IMPORT_AUTO recognises it. The text is left as it is. Returns 0 with *ret, which
 * import_free() releases; -EINVAL with err, "NAME:LINE: …", if it cannot be read or contradicts itself; -ENOMEM or
 * -E2BIG with err.
 */
int import_read(enum import_format format, const char *text, size_t size, const char *name,
		const struct import_options *options, struct import **ret, struct error *err);
void import_free(struct import *m);

/*
 * Finds the parts of which the rows are. shrink: irregular blocks become the largest regular ones that lie within them.
 * Rows that no part can have are named in notes. 0 or -ENOMEM.
 */
int import_fit(struct import *m, bool shrink);

/* The same as the other system has them, in ranges and lists, whatever a configuration can say of them. */
int import_fit_whole(struct import *m);

/*
 * Takes back what an agent refuses, by its path in the configuration that import_write() writes ("mappings[3].in",
 * "timeouts.udp"), with a note that has the agent's words. Returns false if no statement of the file led to it.
 */
bool import_refuse(struct import *m, const char *path, const char *words);

/* Says that an interface is left out, as the agent takes no such name. */
void import_refuse_interface(struct import *m, const char *name, bool outside);

/* An import of one part of another, which stays the owner of all that it points to. */
struct import import_alone(const struct import *m, size_t part);

/* The row of an inside address; NULL: none. */
const struct import_row *import_find(const struct import *m, uint32_t in);

/* The configuration as indented JSON, which the caller frees; NULL: out of memory. comment: "": none. */
char *import_write(const struct import *m, const char *comment);

/* The word of a note, and whether something is lost. */
const char *import_note_word(enum import_note_kind kind);
bool import_note_lost(enum import_note_kind kind);

static inline uint64_t import_range_size(struct import_range r)
{
	return (uint64_t)r.last - r.first + 1;
}

/* "10.0.0.0/18", "10.0.0.2" or "10.0.0.2-10.0.0.9", whichever is shortest. */
#define IMPORT_RANGE_TEXT PLAN_RANGE_TEXT
const char *import_range_format(struct import_range r, char text[static IMPORT_RANGE_TEXT]);

static inline void import_free_pointer(struct import **m)
{
	import_free(*m);
}

#define _cleanup_import_ __attribute__((cleanup(import_free_pointer)))

#endif
