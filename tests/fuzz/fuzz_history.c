/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Histories of any octets: as they are, and, so that something of them is believed, with every line that is a record
 * numbered and chained anew.
 */
#include <string.h>

#include "history/history_who.h"

static void ask(const struct history_index *x)
{
	static const char *const points[] = { "1.1.1.0:1024", "255.255.255.255:65535", "0.0.0.0:0", "10.0.0.1:40000" };
	struct who_answer a;
	struct endpoint e;
	struct error why;
	struct who *w;

	if (who_new(x, &w))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(points); i++) {
		endpoint_parse(points[i], &e);
		who_ask(w, e, x->last_time, &a, &why);
		who_ask(w, e, x->first_time, &a, &why);
		for (size_t k = 0; k < x->mappings.n && k < 64; k++)
			if (who_ask(w, (struct endpoint){ x->mappings.interval[k].mapping.out.base, 1024 },
				    x->mappings.interval[k].mapping.from, &a, &why) == WHO_FOUND &&
			    (!a.n_holders || a.best.from > x->mappings.interval[k].mapping.from ||
			     x->mappings.interval[k].mapping.from > a.best.to))
				__builtin_trap();
	}
	who_free(w);
}

static void read_text(const char *text, size_t size)
{
	struct history_index x;

	history_index_init(&x);
	if (!history_index_feed_all(&x, text, size, NULL))
		ask(&x);
	history_index_free(&x);
}

static char *chained(const char *text, size_t size, size_t *ret_size)
{
	struct chain_tip tip = { .hash = HASH_NONE };
	char *better = NULL;
	FILE *out = open_memstream(&better, ret_size);
	const char *newline;

	for (const char *end = text + size; out && (newline = memchr(text, '\n', (size_t)(end - text)));
	     text = newline + 1) {
		struct history_record r;

		if (history_record_read(text, (size_t)(newline - text), &r, NULL))
			continue;
		for (char *c = r.host; *c; c++)
			*c = 'h';
		history_record_write(out, &r, &tip);
		history_record_free(&r);
	}
	if (out)
		fclose(out);
	return better;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t better_size = 0;
	char *better = chained((const char *)data, size, &better_size);

	read_text((const char *)data, size);
	if (better)
		read_text(better, better_size);
	free(better);
	return 0;
}
