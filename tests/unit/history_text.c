/* SPDX-License-Identifier: BSD-2-Clause */
#include "history_text.h"

#include <criterion/criterion.h>

#include <string.h>

struct history_text told;

void told_setup(void)
{
	told.out = open_memstream(&told.text, &told.size);
	fflush(told.out);
	strcpy(told.hash, HASH_NONE);
	told.line = told.confirmed = told.format = 0;
}

void told_teardown(void)
{
	fclose(told.out);
	free(told.text);
}

void told_start_anew(void)
{
	told_teardown();
	told_setup();
}

struct history_mapping told_mapping(const char *in, const char *out_text, int64_t from)
{
	struct history_mapping m = { .from = from };

	cr_assert_eq(prefix_parse(in, &m.in), 0);
	cr_assert_eq(prefix_parse(out_text, &m.out), 0);
	return m;
}

void told_put(struct history_record r)
{
	struct chain_tip tip = { .line = told.line };

	memcpy(tip.hash, told.hash, HASH_TEXT);
	cr_assert_eq(history_record_write(told.out, &r, &tip), 0);
	told.line = tip.line;
	memcpy(told.hash, tip.hash, HASH_TEXT);
	fflush(told.out);
}

void told_put_start(int64_t time, int64_t since)
{
	told_put((struct history_record){ .time = time,
					  .event = EVENT_START,
					  .since = since,
					  .host = "h",
					  .mappings = told.none,
					  .format = told.format });
}

void told_put_change(int64_t time, enum history_event event, const char *in, const char *out_text, int64_t from)
{
	told_put((struct history_record){ .time = time, .event = event, .mapping = told_mapping(in, out_text, from) });
}

/* What the lines since the last confirmation say was so by then. */
void told_put_confirm(int64_t until)
{
	told_put((struct history_record){ .time = until,
					  .event = EVENT_CONFIRM,
					  .first = told.confirmed + 1,
					  .last = told.line,
					  .until = until });
	told.confirmed = told.line;
}

struct history_index told_read_back(void)
{
	struct history_index x;
	size_t used;

	history_index_init(&x);
	cr_assert_eq(history_index_feed_all(&x, told.text, told.size, &used), 0);
	cr_assert_eq(used, told.size);
	return x;
}

/* "10.0.0.5", "nobody", "no record"; with "+10.0.0.9" where that held it, too. */
const char *told_ask(const struct history_index *x, const char *endpoint, int64_t t)
{
	static char said[2 * ADDR_TEXT + 16];
	char addr[ADDR_TEXT];
	struct who_answer a;
	struct endpoint e;
	struct who *w;
	enum who_result r;

	cr_assert_eq(endpoint_parse(endpoint, &e), 0);
	cr_assert_eq(who_new(x, &w), 0);
	r = who_ask(w, e, t, &a, NULL);
	strcpy(said, r == WHO_FOUND ? addr_format(a.best.in_addr, addr) : r == WHO_NOBODY ? "nobody" : "no record");
	if (a.other)
		snprintf(said + strlen(said), ADDR_TEXT + 1, "+%s", addr_format(a.other->in_addr, addr));
	who_free(w);
	return said;
}

void told_no_damage(const struct history_index *x)
{
	cr_assert_eq(x->n_damages, 0, "line %d %s", (int)x->damages[0].line, x->damages[0].text);
}
