// SPDX-License-Identifier: BSD-2-Clause
/* The end of a history behind a line that is known, which is found without a reading of the whole. */
#include <criterion/criterion.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "base/chain.h"
#include "history/history_read.h"

#define LINES 300U

/* A history of lines, some of which are longer than what is looked at at once. */
static struct {
	char dir[32];
	char *text;
	size_t size, begin[LINES + 1];
	char hash[LINES][HASH_TEXT];
} h;

static void write_file(const char *name, const char *text, size_t size)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", h.dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	cr_assert_eq(write(fd, text, size), (ssize_t)size);
	close(fd);
}

/* The head says that the history ends with a line. */
static void write_head(unsigned line)
{
	char head[200];
	int n = snprintf(head, sizeof(head), "{\"line\":%u,\"time\":\"2026-01-31T13:05:00Z\",\"hash\":\"%s\"}\n", line,
			 h.hash[line - 1]);

	write_file(HISTORY_HEAD_FILE, head, (size_t)n);
}

static void setup(void)
{
	struct chain_tip tip = { .hash = HASH_NONE };
	FILE *out = open_memstream(&h.text, &h.size);

	strcpy(h.dir, "/tmp/detnat-tail-XXXXXX");
	cr_assert(mkdtemp(h.dir));
	for (unsigned i = 0; i < LINES; i++) {
		size_t size = i % 50 == 7 ? 200000 : 20 + i * 7919 % 900;
		char *body = malloc(size + 32);
		int n = snprintf(body, size + 32, "\"event\":\"daily\",\"x\":\"%*s\"", (int)size, "");

		chain_write(out, body, (size_t)n, &tip);
		free(body);
		memcpy(h.hash[i], tip.hash, HASH_TEXT);
		fflush(out);
		h.begin[i + 1] = h.size;
	}
	fclose(out);
	write_file(HISTORY_FILE, h.text, h.size);
	write_head(LINES);
}

static void teardown(void)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -r %s", h.dir);
	cr_assert_eq(system(command), 0);
	free(h.text);
}

static int read_behind(unsigned line, const char *hash, unsigned before, struct history_files *f, const char **at)
{
	return history_tail_read(h.dir, line, hash, before, f, at);
}

TestSuite(history_tail, .init = setup, .fini = teardown);

Test(history_tail, what_is_behind_each_line_is_found)
{
	static const unsigned before[] = { 0, 1, 5, LINES + 1 };

	for (unsigned line = 1; line <= LINES; line++) {
		for (size_t i = 0; i < ARRAY_SIZE(before); i++) {
			struct history_files f;
			const char *at;
			unsigned from = line > before[i] ? line - before[i] : 0;

			cr_assert_eq(read_behind(line, h.hash[line - 1], before[i], &f, &at), 0, "line %u", line);
			cr_assert_eq((size_t)(at - f.text), h.begin[line] - h.begin[from], "line %u, %u before", line,
				     before[i]);
			cr_assert_eq(f.size, h.size - h.begin[from]);
			cr_assert(!memcmp(f.text, h.text + h.begin[from], f.size));
			history_files_free(&f);
		}
	}
}

/* Whether what is behind line 200 is found. */
static bool is_found(void)
{
	struct history_files f;
	const char *at;
	int r = read_behind(200, h.hash[199], 3, &f, &at);

	if (!r)
		history_files_free(&f);
	return !r;
}

Test(history_tail, a_line_of_another_history_is_not_found)
{
	struct history_files f;
	const char *at;

	cr_expect(read_behind(200, h.hash[198], 3, &f, &at));
	cr_expect(read_behind(0, h.hash[0], 3, &f, &at));
	cr_expect(read_behind(LINES + 1, h.hash[LINES - 1], 3, &f, &at));
	cr_expect(is_found());
}

Test(history_tail, damage_is_for_a_reading_of_the_whole)
{
	size_t behind = h.begin[250] + 30, before = h.begin[100] + 30;

	h.text[before] ^= 1;
	write_file(HISTORY_FILE, h.text, h.size);
	cr_expect(is_found(), "what is before is not looked at");
	h.text[behind] ^= 1;
	write_file(HISTORY_FILE, h.text, h.size);
	cr_expect(!is_found(), "a line behind was changed");
	h.text[behind] ^= 1;
	write_file(HISTORY_FILE, h.text, h.size - 1);
	cr_expect(!is_found(), "the last line is incomplete");
	write_file(HISTORY_FILE, h.text, h.begin[LINES - 1]);
	cr_expect(!is_found(), "the last line is missing");
	write_head(LINES - 1);
	cr_expect(is_found());
	write_file(HISTORY_HEAD_FILE, "{}", 2);
	cr_expect(!is_found(), "the head is damaged");
}

Test(history_tail, lines_that_the_head_does_not_have_yet_are_there)
{
	write_head(200);
	cr_expect(is_found());
	write_head(199);
	cr_expect(!is_found(), "the head is of a line before");
}
