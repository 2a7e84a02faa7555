/* SPDX-License-Identifier: BSD-2-Clause */
/* What was read of a history once gives the answers of the history, or is not used. */
#include <criterion/criterion.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>

#include "history_fixture.h"
#include "history/history_read.h"
#include "history/history_who.h"

TestSuite(history_cache, .init = lab_setup, .fini = lab_teardown);

static char path[128], index_path[128];

static void write_cache(void)
{
	struct history_files f;
	struct error err = { 0 };
	int dir = open(lab.state, O_RDONLY | O_DIRECTORY), fd, cache = -1;

	snprintf(path, sizeof(path), "%s/" HISTORY_FILE, lab.state);
	snprintf(index_path, sizeof(index_path), "%s/" HISTORY_CACHE_FILE, lab.state);
	fd = open(path, O_RDONLY);
	cr_assert_eq(history_files_read(lab.state, &f, &err), 0, "%s", err.text);
	cr_assert_eq(history_cache_write(dir, fd, f.size, &f.index, &cache), 0);
	history_files_free(&f);
	close(cache);
	close(fd);
	close(dir);
}

/* How many octets of the history the file beside it saves; -errno if it does not fit. */
static long saved(void)
{
	struct history_files f;
	struct history_index x;
	struct error err = { 0 };
	int dir = open(lab.state, O_RDONLY | O_DIRECTORY), r;
	size_t used = 0;

	cr_assert_eq(history_files_read(lab.state, &f, &err), 0, "%s", err.text);
	r = history_cache_read(dir, f.text, f.size, &x, &used);
	if (!r)
		history_index_free(&x);
	history_files_free(&f);
	close(dir);
	return r ? r : (long)used;
}

static void live(unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		char in[32], out[32];
		struct history_mapping m;
		struct history_portmap to = {
			.in = { 0x0a000000, 80, 83 }, .out = { 0xc6120000 + i, 80, 83 }, .proto = 6, .from = TIME_NONE
		};
		const struct history_change portmaps = { .add[FACT_PORTMAP] = { &to, 1 } };
		struct error err = { 0 };

		snprintf(in, sizeof(in), "10.%u.%u.0/24", i / 200, i % 200);
		snprintf(out, sizeof(out), "198.18.%u.%u/32", i / 200, i % 200);
		m = lab_mapping(in, out);
		snprintf(m.name, sizeof(m.name), "m%u", i);
		lab.now += 5;
		if (i % 7 == 3)
			lab_set_clock(i % 2 ? -20 : 30);
		cr_assert_eq(lab_change(lab.history, NULL, 0, &m, 1, &portmaps, NULL, &err), 0, "%s", err.text);
		if (i % 5)
			lab_confirm();
		else
			cr_assert_eq(history_reconcile(lab.history, NULL, 0, lab_clock().steady_ns, &err), 0);
		cr_assert_eq(lab_change(lab.history, &m, 1, NULL, 0, &lab_no_portmaps, NULL, &err), 0);
		lab_confirm();
	}
}

static void same_answers(void)
{
	struct history_files plain, cached;
	struct error err = { 0 };
	struct who *a, *b;

	cr_assert_eq(history_files_read(lab.state, &plain, &err), 0);
	cr_assert_eq(history_files_read_cached(lab.state, &cached, &err), 0);
	cr_assert_eq(plain.index.mappings.n, cached.index.mappings.n);
	cr_assert_eq(plain.index.times.n, cached.index.times.n);
	cr_assert_eq(plain.index.portmaps.n_open, cached.index.portmaps.n_open);
	cr_assert_eq(plain.index.mappings.n_open, cached.index.mappings.n_open);
	cr_assert_eq(cached.index.n_damages, 0, "%s", cached.index.damages->text);
	cr_assert_str_eq(plain.index.hash, cached.index.hash);
	cr_assert_eq(plain.end, cached.end);
	cr_assert_eq(who_new(&plain.index, &a), 0);
	cr_assert_eq(who_new(&cached.index, &b), 0);
	for (unsigned i = 0; i < 300; i++)
		for (int64_t t = NOON; t < lab.now + 10; t += 13)
			for (unsigned port = 80; port < 3000; port += 2500) {
				struct endpoint e = { 0xc6120000 + (i / 200 << 8) + i % 200, (uint16_t)port };
				struct who_answer x, y;
				enum who_result r = who_ask(a, e, t, &x, NULL);

				cr_assert_eq(r, who_ask(b, e, t, &y, NULL));
				cr_assert_eq(x.n_holders, y.n_holders);
				cr_assert(r != WHO_FOUND || x.best.in_addr == y.best.in_addr);
			}
	who_free(a);
	who_free(b);
	history_files_free(&plain);
	history_files_free(&cached);
}

Test(history_cache, answers_are_those_of_the_history)
{
	struct history_mapping stays = lab_mapping("10.255.0.0/24", "198.19.0.0/32");
	struct error err = { 0 };
	struct stat st;

	live(100);
	cr_assert_eq(lab_change(lab.history, NULL, 0, &stays, 1, &lab_no_portmaps, NULL, &err), 0, "%s", err.text);
	lab_confirm();
	write_cache();
	cr_assert_eq(stat(path, &st), 0);
	cr_expect_eq(saved(), st.st_size);
	same_answers();
	/* And with lines that have come since. */
	cr_assert_eq(lab_change(lab.history, &stays, 1, NULL, 0, &lab_no_portmaps, NULL, &err), 0, "%s", err.text);
	lab_confirm();
	live(101);
	cr_expect_eq(saved(), st.st_size);
	same_answers();
}

Test(history_cache, one_that_does_not_fit_is_not_used)
{
	char *text;
	struct stat st;
	int fd;

	live(6);
	write_cache();
	cr_assert_eq(stat(index_path, &st), 0);
	text = malloc((size_t)st.st_size);
	fd = open(index_path, O_RDWR);
	cr_assert_eq(pread(fd, text, (size_t)st.st_size, 0), st.st_size);
	for (off_t i = 0; i < st.st_size; i += i < 1200 ? 1 : 37) {
		char changed = (char)(text[i] ^ 4);

		cr_assert_eq(pwrite(fd, &changed, 1, i), 1);
		cr_assert_lt(saved(), 0, "octet %ld", (long)i);
		cr_assert_eq(pwrite(fd, &text[i], 1, i), 1);
	}
	cr_assert_gt(saved(), 0);
	cr_assert_eq(ftruncate(fd, st.st_size - 1), 0);
	cr_expect_eq(saved(), -EBADMSG);
	close(fd);
	free(text);
	unlink(index_path);
	cr_expect_eq(saved(), -ENOENT);
	cr_assert_eq(symlink("/etc/passwd", index_path), 0);
	cr_expect_eq(saved(), -ELOOP);
}

/* Damage is found though what was read before it came knows nothing of it. */
Test(history_cache, a_history_that_was_changed_is_read_itself)
{
	struct history_files f;
	struct error err = { 0 };
	char *at;
	int fd;

	live(6);
	write_cache();
	cr_assert_eq(history_files_read(lab.state, &f, &err), 0);
	at = strstr(f.text, "198.18.0.3");
	fd = open(path, O_WRONLY);
	cr_assert_eq(pwrite(fd, "198.18.0.9", 10, at - f.text), 10);
	close(fd);
	history_files_free(&f);
	cr_expect_eq(saved(), -ESTALE);
	cr_assert_eq(history_files_read_cached(lab.state, &f, &err), 0);
	cr_expect_geq(f.index.n_damages, 1);
	history_files_free(&f);
}

Test(history_cache, the_agent_writes_it_once_it_is_worth_it)
{
	live(10);
	cr_assert_eq(history_tick(lab.history, NULL), 0);
	write_cache();
	unlink(index_path);
	live(500);
	cr_assert_eq(history_tick(lab.history, NULL), 0);
	cr_expect_gt(saved(), 0);
	same_answers();
	/* Where it cannot, nothing else fails. */
	unlink(index_path);
	cr_assert_eq(mkdir(index_path, 0755), 0);
	live(600);
	cr_assert_eq(history_tick(lab.history, NULL), 0);
	cr_expect_lt(saved(), 0);
	same_answers();
}
