// SPDX-License-Identifier: BSD-2-Clause
/*
 * Claims of any octets: lines are taken or counted as damage, and each endpoint has an answer within the claim that
 * gives it. So that the fuzzer gets beyond checksums, each line is chained before it is read.
 */
#include <stdlib.h>
#include <string.h>

#include "history/history_claims.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The lines of the input, each with the checksum that makes it part of a chain. */
static char *chained(const char *text, size_t size, size_t *ret_size)
{
	struct chain_tip tip = { .hash = HASH_NONE };
	char *lines = NULL;
	FILE *out = open_memstream(&lines, ret_size);
	const char *at = text, *end = text + size, *newline;

	if (!out)
		abort();
	for (; at < end && (newline = memchr(at, '\n', (size_t)(end - at))); at = newline + 1) {
		/* Behind the number, which chain_write() gives. */
		const char *comma = memchr(at, ',', (size_t)(newline - at)), *body = comma ? comma + 1 : at;

		if (chain_write(out, body, (size_t)(newline - body), &tip))
			abort();
	}
	if (fclose(out))
		abort();
	return lines;
}

static void ask(struct history_claims *c, struct endpoint out, int64_t t)
{
	struct claim_answer a;
	int r = history_claims_ask(c, out, t, &a);

	if (r && r != -ENOENT)
		abort();
	if (!r && a.claim->origin.from > t)
		abort();
	if (!r && a.held &&
	    (a.in_addr < a.in.first || a.in_addr > a.in.last || out.addr < a.out.first || out.addr > a.out.last))
		abort();
}

static void check(struct history_claims *c)
{
	if (c->damaged > c->lines || c->first_damage > c->lines)
		abort();
	for (size_t i = 0; i < c->n; i++) {
		const struct history_claim *claim = &c->claim[i];

		for (size_t k = 0; k < claim->n_blocks; k++)
			ask(c, (struct endpoint){ claim->block[k].out, claim->block[k].hi }, claim->origin.from);
		for (size_t k = 0; k < claim->plan.n; k++)
			for (uint32_t port = 0; port <= 65535; port += 771)
				ask(c, (struct endpoint){ claim->plan.part[k].geo.out_base, (uint16_t)port },
				    claim->origin.from);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	for (unsigned way = 0; way < 2; way++) {
		_cleanup_claims_ struct history_claims c = { 0 };
		_cleanup_free_ char *lines = NULL;
		size_t n = size;

		if (way)
			lines = chained((const char *)data, size, &n);
		if (history_claims_feed(&c, way ? lines : (const char *)data, n))
			abort();
		check(&c);
	}
	return 0;
}
