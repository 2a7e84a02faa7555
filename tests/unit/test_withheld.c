/* SPDX-License-Identifier: BSD-2-Clause */
/* Lines that evidence withholds: their form, and what the history and the leases make of them. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/base.h"
#include "base/ledger_lines.h"
#include "base/withheld.h"
#include "history/history_index.h"
#include "leases/lease_evidence.h"

#define HASH "cdc2fcdcdc484ebb3428a8668620783d6c9fd73b91042b4b10ad0516b6a78f09"

Test(withheld, is_written_and_read)
{
	static const char says[] = "{\"time\":\"2026-01-31T10:00:00Z\",\"event\":\"stop\",\"in_addr\":\"10.0.0.1\"}";
	const struct withheld rows[] = {
		{ .line = 1, .lines = 3, .from = 1769853600, .to = 1769853601, .hash = HASH },
		{ .line = 7,
		  .lines = 1,
		  .from = TIME_NONE,
		  .to = TIME_NONE,
		  .clock = { CLOCK_SYNCHRONISED, 8 },
		  .damaged = true,
		  .says = says,
		  .says_size = strlen(says),
		  .hash = HASH },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_free_ char *text = NULL;
		struct withheld w;
		size_t size;
		FILE *out = open_memstream(&text, &size);

		withheld_write(out, &rows[i]);
		fclose(out);
		cr_assert(withheld_read(text, size, &w), "%s", text);
		cr_expect_eq(w.line, rows[i].line);
		cr_expect_eq(w.lines, rows[i].lines);
		cr_expect_eq(w.from, rows[i].from);
		cr_expect_eq(w.to, rows[i].to);
		cr_expect_eq(w.clock.error_ms, rows[i].clock.error_ms);
		cr_expect_eq(w.damaged, rows[i].damaged);
		cr_expect_str_eq(w.hash, HASH);
		cr_assert_eq(w.says_size, rows[i].says_size);
		cr_expect(!w.says_size || !memcmp(w.says, says, w.says_size));
		/* Nobody reads what is added, so it is none. */
		text[size - 1] = ' ';
		cr_expect(!withheld_read(text, size, &w));
		memmove(text + 1, text, size - 1);
		cr_expect(!withheld_read(text, size, &w));
		memmove(text, text + 1, size - 1);
		text[size - 1] = '}';
		for (size_t cut = 0; cut < size; cut++)
			cr_expect(!withheld_read(text, cut, &w), "%.*s", (int)cut, text);
	}
}

#define RUN                                                                                                          \
	"{\"line\":%u,\"event\":\"withheld\",\"lines\":%u,\"from\":\"2026-01-31T10:00:00Z\",\"to\":\"2026-01-31T11:" \
	"00:00Z\",\"hash\":\"" HASH "\"}"

/* Feeds a run of lines to an index. The number of damages. */
static size_t damages_of(bool evidence, unsigned line, unsigned lines, uint64_t *ret_withheld)
{
	struct history_index x;
	char text[256];
	size_t n;

	history_index_init(&x);
	x.evidence = evidence;
	snprintf(text, sizeof(text), RUN, line, lines);
	cr_assert_eq(history_index_feed(&x, text, strlen(text)), 0);
	n = x.n_damages;
	*ret_withheld = x.withheld;
	history_index_free(&x);
	return n;
}

Test(withheld, lines_of_a_history_are_withheld_in_evidence_alone_and_in_their_place)
{
	uint64_t withheld;

	cr_expect_eq(damages_of(true, 1, 5, &withheld), 0);
	cr_expect_eq(withheld, 5);
	cr_expect_eq(damages_of(true, 2, 5, &withheld), 1);
	cr_expect_eq(damages_of(false, 1, 5, &withheld), 1);
	cr_expect_eq(withheld, 0);
}

#define LINE(line, lines, from, to)                                                                   \
	"{\"line\":" #line ",\"event\":\"withheld\",\"lines\":" #lines ",\"from\":\"2026-01-31T" from \
	":00Z\",\"to\":\"2026-01-31T" to ":00Z\",\"hash\":\"" HASH "\"}"

/* The clock was set back to a time. */
#define SET_BACK(from)                                                                                       \
	"{\"line\":6,\"event\":\"withheld\",\"lines\":2,\"from\":\"2026-01-31T" from ":00Z\",\"to\":\"2026-" \
	"01-31T12:00:00Z\",\"set_back\":true,\"hash\":\"" HASH "\"}"

/* What follows on a run from ten to eleven. */
static const struct {
	const char *line;
	size_t damages;
} runs[] = {
	{ LINE(6, 2, "11:00", "12:00"), 0 },
	{ LINE(6, 1, "11:30", "11:30"), 0 },
	{ LINE(6, 2, "10:59", "12:00"), 1 },
	{ LINE(6, 2, "12:00", "11:00"), 1 },
	{ LINE(6, 1, "11:00", "11:30"), 1 },
	{ LINE(6, 0, "11:00", "11:00"), 1 },
	{ LINE(6, 2, "11:00", "12:00") " ", 1 },
	{ SET_BACK("10:30"), 0 },
	{ SET_BACK("11:00"), 1 },
};

Test(withheld, times_of_a_history_are_in_order)
{
	for (size_t i = 0; i < ARRAY_SIZE(runs); i++) {
		struct history_index x;
		char text[256];

		history_index_init(&x);
		x.evidence = true;
		snprintf(text, sizeof(text), RUN, 1, 5);
		cr_assert_eq(history_index_feed(&x, text, strlen(text)), 0);
		cr_assert_eq(history_index_feed(&x, runs[i].line, strlen(runs[i].line)), 0);
		cr_expect_eq(x.n_damages, runs[i].damages, "%s", runs[i].line);
		history_index_free(&x);
	}
}

static int count(void *arg, const char *file, const char *previous, const char *line, size_t size)
{
	(void)file;
	(void)previous;
	(void)line;
	(void)size;
	++*(unsigned *)arg;
	return 0;
}

#define ENTRY(file, previous, line) "{\"file\":\"" file "\",\"previous\":\"" previous "\",\"line\":" line "}\n"

static const struct {
	const char *text;
	int r;
	unsigned lines;
} files[] = {
	{ "", 0, 0 },
	{ ENTRY("leases-2026-01-31.jsonl", HASH, "{}"), 0, 1 },
	/* 1.0.0 wrote what octets stood before a line without a checksum. */
	{ ENTRY("leases-2026-01-31.jsonl", "\",\"from\":\"2026-01-20T00:33:24Z\",\"to\":\"2026-01-20T00:33:24Z\"abcde",
		"{}"),
	  0, 1 },
	{ ENTRY("leases-2026-01-32.jsonl", HASH, "{}"), -EBADMSG, 0 },
	{ ENTRY("../../../../etc/passwdx", HASH, "{}"), -EBADMSG, 0 },
	{ ENTRY("leases-2026-01-31.jsonl", "12", "{}"), -EBADMSG, 0 },
	{ ENTRY("leases-2026-01-31.jsonl", HASH, "{}") "{}\n", -EBADMSG, 1 },
	{ ENTRY("leases-2026-01-31.jsonl", HASH, "{}") "{\"file\":\"leases-2026-01-31.jsonl", -EBADMSG, 1 },
};

Test(withheld, a_file_of_leases_is_read_line_by_line)
{
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		unsigned n = 0;

		cr_expect_eq(ledger_lines_read(LEDGER_LEASES, files[i].text, strlen(files[i].text), count, &n, NULL),
			     files[i].r, "%s", files[i].text);
		cr_expect_eq(n, files[i].lines, "%s", files[i].text);
	}
}

/* Days of a text, as a directory of evidence has it. 0 or -errno. */
static int open_days(const char *text)
{
	struct lease_days *d = NULL;
	struct error err;
	int fd = memfd_create("leases", MFD_CLOEXEC), r;
	char path[64];

	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	r = lease_days_open(path, &d, &err);
	if (!r)
		lease_days_free(d);
	close(fd);
	return r;
}

Test(withheld, days_of_evidence_are_in_order)
{
	cr_expect_eq(
		open_days(ENTRY("leases-2026-01-30.jsonl", HASH, "{}") ENTRY("leases-2026-01-31.jsonl", HASH, "{}")),
		0);
	cr_expect_eq(
		open_days(ENTRY("leases-2026-01-31.jsonl", HASH, "{}") ENTRY("leases-2026-01-30.jsonl", HASH, "{}")),
		-EBADMSG);
	cr_expect_eq(open_days(""), -ENOENT);
}
