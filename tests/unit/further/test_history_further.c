/* SPDX-License-Identifier: BSD-2-Clause */
/* A further kind of fact is a row: it is written, read, listed, asked about and verified as the others are. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "history/history_read.h"
#include "history/history_who_private.h"

#define T0 1767268800LL /* 2026-01-01T12:00:00Z */
#define AT "2026-01-01T12:00:"

static struct history_index x;
static struct chain_tip tip;
static char *text;
static size_t size;
static FILE *out;

static struct history_reservation reservation(uint8_t subscriber, uint16_t port_lo, const char *tenant)
{
	struct history_reservation r = {
		.in = 0x0a000000 + subscriber, .out = 0xc0000201, .port_lo = port_lo, .ports = 64, .from = T0
	};

	snprintf(r.tenant, sizeof(r.tenant), "%s", tenant);
	return r;
}

static void setup(void)
{
	tip = (struct chain_tip){ .hash = HASH_NONE };
	history_index_init(&x);
	out = open_memstream(&text, &size);
}

static void teardown(void)
{
	fclose(out);
	free(text);
	history_index_free(&x);
}

TestSuite(history_further, .init = setup, .fini = teardown);

static void write_record(struct history_record r)
{
	fflush(out);
	size_t before = size;

	cr_assert_eq(history_record_write(out, &r, &tip), 0);
	fflush(out);
	cr_assert_eq(history_index_feed(&x, text + before, size - before - 1), 0);
}

static void write_start(int64_t time, struct history_reservation *list, size_t n)
{
	write_record((struct history_record){ .event = EVENT_START,
					      .time = time,
					      .since = TIME_NONE,
					      .host = "h",
					      .taken_over = true,
					      .reservations = list,
					      .n_reservations = n });
}

static void write_reservation(int64_t time, struct history_reservation r, bool ends)
{
	write_record((struct history_record){ .event = EVENT_RESERVE, .time = time, .reservation = r, .ends = ends });
}

static const char *last_line(void)
{
	const char *end = memrchr(text, '\n', size - 1);

	return end ? end + 1 : text;
}

Test(history_further, is_written_and_read)
{
	const char *line = "\"event\":\"reserve\",\"in\":\"10.0.0.7\",\"out\":\"192.0.2.1\",\"port_lo\":2048,"
			   "\"port_hi\":2111,\"from\":\"" AT "00Z\",\"tenant\":\"blue\",\"to\":null";
	struct history_record r;
	struct error err;

	write_start(T0, NULL, 0);
	write_reservation(T0 + 1, reservation(7, 2048, "blue"), false);
	cr_expect(strstr(last_line(), line), "%s", last_line());
	cr_assert_eq(history_record_read(last_line(), strlen(last_line()) - 1, &r, &err), 0, "%s", err.text);
	cr_expect_eq(r.event, EVENT_RESERVE);
	cr_expect(history_facts_same(FACT_RESERVATION, &r.reservation, &x.reservations.interval[0].reservation));
	cr_expect(r.reservation.ports == 64 && r.reservation.from == T0 && !strcmp(r.reservation.tenant, "blue"));
	history_record_free(&r);
}

Test(history_further, is_refused_if_it_is_malformed)
{
	static const char *const wrong[] = { "\"port_lo\":0,\"port_hi\":63", "\"port_lo\":9,\"port_hi\":8",
					     "\"port_lo\":9.5,\"port_hi\":80", "\"port_lo\":1" };
	struct history_record r;
	struct error err;

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		_cleanup_free_ char *line = NULL;

		cr_assert_gt(asprintf(&line,
				      "{\"line\":1,\"time\":\"" AT "00Z\",\"event\":\"reserve\",\"in\":\"10.0.0.7\","
				      "\"out\":\"192.0.2.1\",%s,\"from\":\"" AT "00Z\",\"to\":null}",
				      wrong[i]),
			     0);
		cr_expect_neq(history_record_read(line, strlen(line), &r, &err), 0, "%s", line);
	}
}

Test(history_further, is_listed_in_order_and_ends_when_another_has_its_place)
{
	_cleanup_free_ struct history_reservation *list = NULL;
	size_t n = 0;

	write_start(T0, NULL, 0);
	write_reservation(T0 + 1, reservation(8, 4096, ""), false);
	write_reservation(T0 + 2, reservation(7, 2048, ""), false);
	write_reservation(T0 + 3, reservation(9, 2048, ""), false);
	cr_assert_eq(history_facts_list(FACT_RESERVATION, &x.reservations.facts, &list, &n), 0);
	cr_assert_eq(n, 2);
	cr_expect(list[0].in == 0x0a000009 && list[1].in == 0x0a000008);
	cr_expect_eq(x.reservations.interval[1].to, T0 + 3);
	cr_expect_eq(x.n_damages, 0);
}

Test(history_further, is_asked_about)
{
	const struct history_reservation place = reservation(0, 2048, "");
	struct who_facts w = { 0 };
	const struct who_fact *v;
	size_t n, at;

	write_start(T0, NULL, 0);
	write_reservation(T0 + 1, reservation(7, 2048, ""), false);
	write_reservation(T0 + 5, reservation(7, 2048, ""), true);
	write_reservation(T0 + 9, reservation(8, 2048, ""), false);
	cr_assert_eq(who_facts_new(FACT_RESERVATION, &x.reservations.facts, &x.times, false, &w), 0);
	at = who_facts_before(&w, &place);
	n = who_facts_until(&w, &place) - at;
	cr_assert_eq(n, 2);
	v = who_facts_number(&w, at);
	cr_expect(history_times_hold(&x.times, v->begin, v->end, 0, T0 + 3));
	cr_expect(!history_times_hold(&x.times, v->begin, v->end, 0, T0 + 7));
	cr_expect_eq(((const struct history_reservation *)(v + 1))->in, 0x0a000007);
	cr_expect_null(who_facts_number(&w, at + n));
	free(w.held);
}

Test(history_further, a_list_that_differs_is_damage)
{
	struct history_reservation list[] = { reservation(7, 2048, ""), reservation(8, 4096, "") };

	write_start(T0, list, 1);
	write_start(T0 + 10, list, 1);
	cr_assert_eq(x.n_damages, 0);
	write_start(T0 + 20, list, 2);
	cr_assert_eq(x.n_damages, 1);
	cr_expect_str_eq(x.damages[0].text, "lists other mappings than the lines before it");
}

Test(history_further, what_ends_without_having_begun_is_damage)
{
	write_start(T0, NULL, 0);
	write_reservation(T0 + 1, reservation(7, 2048, ""), true);
	cr_assert_eq(x.n_damages, 1);
	cr_expect_str_eq(x.damages[0].text, "deletes a reservation that is not there");
}

Test(history_further, is_taken_back)
{
	write_start(T0, NULL, 0);
	write_reservation(T0 + 1, reservation(7, 2048, ""), false);
	write_record(
		(struct history_record){ .event = EVENT_UNDO, .time = T0 + 2, .first = 2, .last = 2, .until = T0 + 2 });
	cr_expect_eq(x.reservations.n_open, 0);
	cr_expect(x.reservations.interval[0].undone);
	cr_expect_eq(x.n_damages, 0);
}

Test(history_further, is_in_the_index_of_a_file)
{
	char dir[] = "/dev/shm/detnat-further-XXXXXX";
	struct history_index again;
	int at, fd, cache = -1;
	size_t used = 0;

	write_start(T0, NULL, 0);
	write_reservation(T0 + 1, reservation(7, 2048, "blue"), false);
	cr_assert(mkdtemp(dir));
	at = open(dir, O_RDONLY | O_DIRECTORY);
	fd = openat(at, HISTORY_FILE, O_RDWR | O_CREAT, 0600);
	cr_assert_eq(write(fd, text, size), (ssize_t)size);
	cr_assert_eq(history_cache_write(at, fd, size, &x, &cache), 0);
	cr_assert_eq(history_cache_read(at, text, size, &again, &used), 0);
	cr_expect_eq(used, size);
	cr_expect(history_facts_agree(FACT_RESERVATION, &x.reservations.facts, &again.reservations.facts));
	cr_expect_str_eq(again.reservations.interval[0].reservation.tenant, "blue");
	history_index_free(&again);
	unlinkat(at, HISTORY_FILE, 0);
	unlinkat(at, HISTORY_CACHE_FILE, 0);
	rmdir(dir);
	close(cache), close(fd), close(at);
}
