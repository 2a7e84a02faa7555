/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Claims: the plan of the NAT that had the subscribers before this gateway, as `detnatctl import --since` found it in a
 * configuration. Nobody recorded when it was in force, so a claim is no record of the history, and has a file of its
 * own beside it, which readers of the history alone never see.
 *
 * A line has a mapping (its keys as in a configuration), or single blocks of an outside address where no mapping has
 * them; its checksum is made as that of a line of the history. detnat-agent(8) documents the format. Addresses and
 * ports are in host byte order.
 */
#ifndef DETNAT_HISTORY_CLAIMS_H
#define DETNAT_HISTORY_CLAIMS_H

#include "history/history_record.h"
#include "plan/plan.h"

#define CLAIMS_FILE "claims.jsonl"

/* The largest file that is read or written, and the most single blocks of an import. */
#define CLAIMS_MAX_SIZE	  (512U << 20)
#define CLAIMS_MAX_BLOCKS (1U << 20)

#define CLAIM_SOURCE_TEXT 128
#define CLAIM_ID_TEXT	  17

/* Where a claim comes from. */
struct claim_origin {
	char source[CLAIM_SOURCE_TEXT]; /* name of the file, as text_keep() makes it */
	char sha256[HASH_TEXT];		/* of its octets */
	int64_t from;			/* it is claimed to be in force since then */
	int64_t time;			/* of the import */
};

/* A block that no mapping has. */
struct claim_block {
	uint32_t in;
	uint32_t out;
	uint16_t lo;
	uint16_t hi;
};

/* All lines of one import. */
struct history_claim {
	char id[CLAIM_ID_TEXT];
	struct claim_origin origin;
	struct plan plan;
	struct claim_block *block; /* sorted by outside address and port */
	size_t n_blocks;
};

/* Initialised with zeros. */
struct history_claims {
	struct history_claim *claim;
	size_t n;
	uint64_t lines;
	uint64_t damaged; /* lines that are not used */
	uint64_t first_damage;
	char damage[160];
	char hash[HASH_TEXT]; /* of the last line */
};

/* Reads those of a directory; none if it has no such file. 0, -ENOMEM, or -errno with err. Damage is counted. */
int history_claims_read(const char *dir, struct history_claims *ret, struct error *err);
void history_claims_free(struct history_claims *c);

#define _cleanup_claims_ __attribute__((cleanup(history_claims_free)))

/* Takes complete lines; what follows the last newline is damage. For history_claims_read(), and for tests. */
int history_claims_feed(struct history_claims *c, const char *text, size_t size);

/* An answer: the claim, and the subscriber's range and outside addresses in it. */
struct claim_answer {
	const struct history_claim *claim;
	bool held; /* false: the port is in no block; the rest has no meaning */
	uint32_t in_addr;
	struct plan_range in;
	struct plan_range out;
};

/*
 * Who had an endpoint in second t, as claimed. Of several claims with the address, the one that begins last, then the
 * one written last, has the answer. 0, -ENOENT if none has the address then, or -ENOMEM.
 */
int history_claims_ask(struct history_claims *c, struct endpoint out, int64_t t, struct claim_answer *ret);

/* What is to be written. */
struct claim_plan {
	const struct plan_mapping *mapping;
	size_t n_mappings;
	const struct claim_block *block; /* sorted by outside address and port */
	size_t n_blocks;
};

/*
 * Appends a claim to the file in a directory, on the disk and as a whole. *ret_lines: the lines written; 0: the file
 * has this claim already. 0 or -errno with err, with the file as it was.
 */
int history_claims_append(const char *dir, const struct claim_origin *origin, const struct claim_plan *plan,
			  uint64_t *ret_lines, struct error *err);

#endif
