/* SPDX-License-Identifier: BSD-2-Clause */
/* Grants in files of their days: written, read, removed, lost, and what `who` says of the time that is gone. */
#include <criterion/criterion.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json_scan.h"
#include "base/ledger.h"
#include "base/ledger_verify.h"
#include "base/whole_file.h"
#include "history/history_grant_days.h"
#include "history/history_who.h"
#include "command.h"
#include "history_fixture.h"
#include "recorder/history_private.h"

#define DAY   86400
#define FIRST "grants-2026-01-01.jsonl"
#define NEXT  "grants-2026-01-02.jsonl"

static void begin(void)
{
	lab_setup();
	history_set_grants(lab.history, 2);
	lab_add("10.0.0.0/24", "1.1.1.0/32");
}

TestSuite(grant_days, .init = begin, .fini = lab_teardown);

/* The 252 ports of each block are from 1024 on with the usual mapping; this one's shared range is from 1024 to 2047. */
static struct history_mapping sharing(void)
{
	struct history_mapping m = lab_mapping("10.0.0.0/24", "1.1.1.0/32");

	m.blocks = (struct plan_blocks){ .ratio = 256, .first_port = 2048, .pitch = 240, .ports_per_host = 240 };
	return m;
}

static void share(void)
{
	struct history_mapping del = lab_mapping("10.0.0.0/24", "1.1.1.0/32"), add = sharing();
	struct error err = { 0 };

	cr_assert_eq(lab_change(lab.history, &del, 1, &add, 1, &lab_no_portmaps, NULL, &err), 0, "%s", err.text);
	lab_confirm();
}

static struct history_grant grant(uint32_t host, uint16_t port_lo)
{
	return (struct history_grant){
		.in = 0x0a000000 + host, .out = 0x01010100, .port_lo = port_lo, .ports = 64, .from = TIME_NONE
	};
}

static int change(struct history_grant *end, struct history_grant *begin)
{
	const struct history_change c = { .del[FACT_GRANT] = { end, end != NULL },
					  .add[FACT_GRANT] = { begin, begin != NULL } };
	struct error err = { 0 };

	return history_change(lab.history, &c, &err);
}

static void make(struct history_grant g)
{
	cr_assert_eq(change(NULL, &g), 0);
	lab_confirm();
}

static void end(struct history_grant g)
{
	cr_assert_eq(change(&g, NULL), 0);
	lab_confirm();
}

static void tick(void)
{
	struct error err = { 0 };

	cr_assert_eq(history_tick(lab.history, &err), 0, "%s", err.text);
}

static char *path_of(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", lab.state, name);
	return path;
}

static bool is_there(const char *name)
{
	return !access(path_of(name), F_OK);
}

static bool says(const char *name, const char *text)
{
	_cleanup_free_ char *line = NULL;
	size_t room = 0;
	FILE *f = fopen(path_of(name), "re");
	bool found = false;

	while (f && getline(&line, &room, f) > 0)
		found |= strstr(line, text) != NULL;
	if (f)
		fclose(f);
	return found;
}

static enum who_result ask(const char *dir, uint16_t port, int64_t t, uint32_t *ret_in, struct error *why)
{
	struct history_files f;
	struct who_answer a = { 0 };
	struct who *w;
	enum who_result r;

	cr_assert_eq(history_files_read_cached(dir, &f, why), 0, "%s", why->text);
	cr_assert_eq(who_new(&f.index, &w), 0);
	r = who_ask(w, (struct endpoint){ 0x01010100, port }, t, &a, why);
	*ret_in = r == WHO_FOUND ? a.best.in_addr : 0;
	who_free(w);
	history_files_free(&f);
	return r;
}

#define EXPECT(port, t, result, in)                                                                    \
	do {                                                                                           \
		uint32_t _in;                                                                          \
		struct error _why = { 0 };                                                             \
                                                                                                       \
		cr_expect_eq(ask(lab.state, port, t, &_in, &_why), result, "%d: %s", port, _why.text); \
		cr_expect_eq(_in, in, "%d: %x", port, _in);                                            \
	} while (0)

/* What `history verify` finds. */
static size_t damages(char ret[static 160])
{
	struct history_files f;
	struct error err = { 0 };
	size_t n;

	cr_assert_eq(history_files_read(lab.state, &f, &err), 0, "%s", err.text);
	n = f.index.n_damages;
	snprintf(ret, 160, "%s", n ? f.index.damages[0].text : "");
	cr_expect(!f.index.lost);
	history_files_free(&f);
	return n;
}

static void nothing(void *arg, const char *file, uint64_t line, bool erased, const char *text)
{
	(void)arg;
	(void)file;
	(void)line;
	(void)erased;
	(void)text;
}

static uint64_t ledger_faults(void)
{
	struct ledger_state s;
	struct error err = { 0 };

	cr_assert_eq(ledger_verify(lab.state, nothing, NULL, &s, &err), 0, "%s", err.text);
	return s.wrong;
}

Test(grant_days, lines_are_in_the_file_of_the_day_on_which_the_grant_began)
{
	char text[160];

	share();
	lab.now += 10;
	make(grant(1, 1024));
	lab.now += DAY;
	make(grant(2, 1088));
	end(grant(1, 1024));
	cr_expect(says(FIRST, "\"in\":\"10.0.0.1\""));
	cr_expect(says(FIRST, "\"to\":\"2026-01-02"));
	cr_expect(says(NEXT, "\"in\":\"10.0.0.2\"") && !says(NEXT, "10.0.0.1"));
	cr_expect(!says(HISTORY_FILE, "10.0.0.1\"") && !says(HISTORY_FILE, "10.0.0.2\""));
	cr_expect(says(
		HISTORY_FILE,
		"\"day\":\"2026-01-01\",\"grant\":1,\"out\":\"1.1.1.0\",\"from\":\"2026-01-01T12:00:10Z\",\"to\":\"2"));
	EXPECT(1030, NOON + 11, WHO_FOUND, 0x0a000001);
	EXPECT(1030, NOON + DAY + 12, WHO_NOBODY, 0);
	EXPECT(1090, NOON + DAY + 12, WHO_FOUND, 0x0a000002);
	cr_expect_eq(damages(text), 0, "%s", text);
	cr_expect_eq(ledger_faults(), 0);
}

Test(grant_days, lists_name_them_by_their_place)
{
	struct history_grant list[] = { grant(1, 1024), grant(2, 1088) };
	struct history_mapping m = sharing();
	struct error err = { 0 };
	char text[160];

	share();
	make(list[0]);
	lab.now += DAY;
	tick();
	cr_expect(says(HISTORY_FILE, "\"grants\":[{\"day\":\"2026-01-01\",\"grant\":1,\"out\":\"1.1.1.0\",\"from\":"));
	history_close(lab.history);
	/* An agent that knows nothing of the second finds both: what a start begins is of its day. */
	cr_assert_eq(history_open(lab.state, -1, &lab.history, &err), 0, "%s", err.text);
	history_set_grants(lab.history, 2);
	cr_assert_eq(history_present(lab.history, FACT_GRANT, list, 2), 0);
	cr_assert_eq(history_begin(lab.history, true, &m, 1), 0);
	cr_assert_eq(history_settle(lab.history, &err), 0, "%s", err.text);
	cr_expect(says(NEXT, "10.0.0.2") && !says(HISTORY_FILE, "10.0.0.2\""));
	cr_expect(says(HISTORY_FILE, "\"event\":\"start\",\"format\":7"));
	EXPECT(1030, NOON + 2 * DAY, WHO_FOUND, 0x0a000001);
	EXPECT(1090, NOON + 2 * DAY, WHO_FOUND, 0x0a000002);
	cr_expect_eq(damages(text), 0, "%s", text);
}

Test(grant_days, a_file_goes_after_the_last_end_and_who_says_no_record_of_the_shared_range_alone)
{
	char text[160];

	share();
	lab.now += 10;
	make(grant(1, 1024));
	make(grant(3, 1152));
	end(grant(3, 1152));
	lab.now += DAY;
	make(grant(2, 1088));
	lab.now += 3 * DAY;
	tick();
	cr_expect(is_there(FIRST), "one of its grants lasts");
	end(grant(1, 1024));
	lab.now += DAY;
	tick();
	cr_expect(is_there(FIRST), "it ended a day ago");
	lab.now += DAY + 1;
	tick();
	cr_expect(!is_there(FIRST));
	cr_expect(is_there(NEXT));
	cr_expect(!is_there(HISTORY_CACHE_FILE));
	EXPECT(1030, NOON + 11, WHO_NO_RECORD, 0);
	EXPECT(1300, NOON + 11, WHO_NO_RECORD, 0);
	EXPECT(1030, NOON + 4 * DAY, WHO_NO_RECORD, 0);
	EXPECT(1090, NOON + 2 * DAY, WHO_FOUND, 0x0a000002);
	EXPECT(2050, NOON + 11, WHO_FOUND, 0x0a000000);
	EXPECT(1030, NOON + 5 * DAY, WHO_NOBODY, 0);
	cr_expect_eq(damages(text), 0, "%s", text);
	cr_expect_eq(ledger_faults(), 0);
	/* The agent has forgotten, too. */
	for (size_t i = 0; i < lab.history->file.index.grants.n; i++)
		cr_expect_neq(lab.history->file.index.grants.interval[i].grant.in, 0x0a000001);
}

Test(grant_days, what_ended_with_its_mapping_has_ended_also_once_it_is_forgotten)
{
	struct history_mapping m = sharing();
	struct error err = { 0 };

	share();
	make(grant(1, 1024));
	lab.now += DAY;
	cr_assert_eq(lab_change(lab.history, &m, 1, NULL, 0, &lab_no_portmaps, NULL, &err), 0, "%s", err.text);
	lab_confirm();
	lab.now += 10;
	cr_assert_eq(lab_change(lab.history, NULL, 0, &m, 1, &lab_no_portmaps, NULL, &err), 0, "%s", err.text);
	lab_confirm();
	lab.now += 3 * DAY;
	tick();
	cr_assert(!is_there(FIRST));
	EXPECT(1030, NOON + DAY - 1, WHO_NO_RECORD, 0);
	EXPECT(1030, NOON + 2 * DAY, WHO_NOBODY, 0);
}

Test(grant_days, a_cache_that_still_knows_does_not_count)
{
	struct error err = { 0 };
	unsigned n;
	const struct ledger_expiry x = { .dir = lab.state, .kind = LEDGER_GRANTS, .before = NOON + DAY };
	int fd = -1;

	share();
	make(grant(1, 1024));
	end(grant(1, 1024));
	lab.now += 10;
	cr_assert_eq(history_cache_write(lab.history->file.dir, lab.history->file.chain.fd,
					 lab.history->file.chain.tip.size, &lab.history->file.index, &fd),
		     0);
	close(fd);
	cr_assert_eq(ledger_expire(&x, lab.now, &n, &err), 0, "%s", err.text);
	cr_assert_eq(n, 1);
	EXPECT(1030, NOON, WHO_NO_RECORD, 0);
	tick();
	cr_expect(!is_there(HISTORY_CACHE_FILE), "the agent removes what it had from before");
}

Test(grant_days, a_file_that_is_missing_or_cut_is_noticed)
{
	char text[160];

	share();
	make(grant(1, 1024));
	lab.now += DAY;
	make(grant(2, 1088));
	make(grant(3, 1152));
	cr_assert_eq(unlink(path_of(FIRST)), 0);
	cr_expect_eq(damages(text), 1);
	cr_expect_str_eq(text, "names a grant of " FIRST ", which is missing", "%s", text);
	cr_expect_eq(ledger_faults(), 1);
	EXPECT(1030, NOON + 1, WHO_NO_RECORD, 0);
	EXPECT(1090, NOON + DAY + 1, WHO_FOUND, 0x0a000002);
	EXPECT(2050, NOON + 1, WHO_FOUND, 0x0a000000);
	cr_assert_eq(truncate(path_of(NEXT), 40), 0);
	cr_expect_eq(damages(text), 2);
	EXPECT(1090, NOON + DAY + 1, WHO_NO_RECORD, 0);
	/* The agent goes on, and ends what is open. */
	lab.now += 10;
	end(grant(1, 1024));
	cr_expect(!is_there(FIRST), "a file that is gone is not begun anew");
	EXPECT(1030, lab.now + 1, WHO_NO_RECORD, 0);
}

Test(grant_days, a_line_that_was_changed_says_nothing)
{
	_cleanup_free_ char *line = NULL;
	size_t size = 0;
	char text[160];
	FILE *f;

	share();
	make(grant(1, 1024));
	f = fopen(path_of(FIRST), "r+e");
	cr_assert(f && getline(&line, &size, f) > 0);
	*(strstr(line, "10.0.0.1") + 7) = '2';
	rewind(f);
	fputs(line, f);
	fclose(f);
	cr_expect_eq(damages(text), 1);
	cr_expect_str_eq(text, "names line 1 of " FIRST ", which was changed", "%s", text);
	EXPECT(1030, NOON + 1, WHO_NO_RECORD, 0);
}

/* A change with mapping and grants is there or not by its line in the history. */
Test(grant_days, what_a_kill_leaves_between_the_two_files_never_took_effect)
{
	struct history_grant one = grant(1, 1024), two = grant(2, 1088);
	struct history_mapping m = sharing();
	struct error err = { 0 };
	char text[160];
	uint64_t size;

	share();
	make(one);
	size = lab.history->file.chain.tip.size;
	lab.now += 10;
	cr_assert_eq(change(&one, &two), 0);
	history_close(lab.history);
	/* The lines of the day are on the disk, and those of the history are not. */
	cr_assert_eq(truncate(path_of(HISTORY_FILE), (off_t)size), 0);
	unlink(path_of(HISTORY_HEAD_FILE));
	cr_expect_eq(damages(text), 0, "%s", text);
	EXPECT(1030, NOON + 12, WHO_FOUND, 0x0a000001);
	EXPECT(1090, NOON + 12, WHO_NOBODY, 0);
	cr_assert_eq(history_open(lab.state, -1, &lab.history, &err), 0, "%s", err.text);
	history_set_grants(lab.history, 2);
	cr_assert_eq(history_present(lab.history, FACT_GRANT, &one, 1), 0);
	cr_assert_eq(history_begin(lab.history, true, &m, 1), 0);
	cr_assert_eq(history_settle(lab.history, &err), 0, "%s", err.text);
	cr_assert_eq(change(&one, &two), 0);
	lab_confirm();
	EXPECT(1030, lab.now + 2, WHO_NOBODY, 0);
	EXPECT(1090, lab.now + 2, WHO_FOUND, 0x0a000002);
	cr_expect_eq(damages(text), 0, "%s", text);
	cr_expect_eq(ledger_faults(), 0);
}

Test(grant_days, what_a_kill_leaves_of_a_day_is_taken_back_and_written_again)
{
	char text[160], head[512], hash[HASH_TEXT] = HASH_NONE;
	struct chain c;
	FILE *f;
	int dir = lab.history->file.dir;

	share();
	make(grant(1, 1024));
	cr_assert_eq(chain_open(dir, FIRST, O_RDWR, &c), 0);
	cr_assert_eq(chain_find_tip(&c), 0);
	memcpy(hash, c.tip.hash, HASH_TEXT);
	cr_assert_eq(pwrite(c.fd, "{\"line\":2,\"hash\":\"", 18, (off_t)c.tip.size), 18);
	cr_assert_eq(pwrite(c.fd, hash, 64, (off_t)c.tip.size + 18), 64);
	cr_assert_eq(pwrite(c.fd, "\"}\n", 3, (off_t)c.tip.size + 82), 3);
	/* The ledger's head says that this was being written. */
	f = fopen(path_of(LEDGER_HEAD_FILE), "re");
	cr_assert(f && fgets(head, sizeof(head), f));
	fclose(f);
	head[strcspn(head, "\n") - 1] = '\0';
	f = fopen(path_of(LEDGER_HEAD_FILE), "we");
	fprintf(f, "%s,\"writing\":{\"file\":\"" FIRST "\",\"lines\":1,\"octets\":%lu,\"tip\":\"%s\"}}\n", head,
		(unsigned long)c.tip.size, hash);
	fclose(f);
	chain_close(&c);
	make(grant(2, 1088));
	EXPECT(1090, NOON + 1, WHO_FOUND, 0x0a000002);
	cr_expect_eq(damages(text), 0, "%s", text);
	cr_expect_eq(ledger_faults(), 0);
}

Test(grant_days, a_directory_that_cannot_take_the_line_refuses_the_change)
{
	struct history_grant one = grant(1, 1024);
	char text[160];

	share();
	cr_assert_eq(mkdir(path_of(FIRST), 0700), 0);
	cr_expect_lt(change(NULL, &one), 0);
	cr_assert_eq(rmdir(path_of(FIRST)), 0);
	EXPECT(1030, NOON + 1, WHO_NOBODY, 0);
	make(one);
	EXPECT(1030, NOON + 1, WHO_FOUND, 0x0a000001);
	cr_expect_eq(damages(text), 0, "%s", text);
}

Test(grant_days, the_key_comes_and_goes)
{
	char text[160];

	share();
	history_set_grants(lab.history, 0);
	make(grant(1, 1024));
	cr_expect(says(HISTORY_FILE, "10.0.0.1\"") && !is_there(FIRST));
	history_set_grants(lab.history, 2);
	lab.now += 10;
	make(grant(2, 1088));
	end(grant(1, 1024));
	cr_expect(says(FIRST, "10.0.0.2") && !says(FIRST, "10.0.0.1"), "it ends where it began");
	history_set_grants(lab.history, 0);
	lab.now += 10;
	make(grant(3, 1152));
	end(grant(2, 1088));
	cr_expect(!says(HISTORY_FILE, "10.0.0.2\""));
	cr_expect(says(HISTORY_FILE, "10.0.0.3\""));
	lab.now += DAY;
	tick();
	cr_expect(is_there(FIRST), "without the key, nothing is removed");
	EXPECT(1030, NOON + 1, WHO_FOUND, 0x0a000001);
	EXPECT(1090, NOON + 12, WHO_FOUND, 0x0a000002);
	EXPECT(1090, NOON + DAY, WHO_NOBODY, 0);
	EXPECT(1160, NOON + DAY, WHO_FOUND, 0x0a000003);
	cr_expect_eq(damages(text), 0, "%s", text);
}

Test(grant_days, what_did_not_take_effect_is_taken_back)
{
	struct history_grant one = grant(1, 1024), two = grant(2, 1088);
	struct history_mapping m = sharing();
	struct error err = { 0 };
	char text[160];

	share();
	make(one);
	lab.now += 10;
	cr_assert_eq(change(&one, &two), 0);
	cr_assert_eq(history_present(lab.history, FACT_GRANT, &one, 1), 0);
	cr_assert_eq(history_reconcile(lab.history, &m, 1, lab_clock().steady_ns, &err), 0);
	lab.now += 10;
	EXPECT(1030, lab.now, WHO_FOUND, 0x0a000001);
	EXPECT(1090, lab.now, WHO_NOBODY, 0);
	cr_expect(history_holds(lab.history, FACT_GRANT, &one, 1, &err), "%s", err.text);
	cr_expect_eq(damages(text), 0, "%s", text);
	lab.now += 3 * DAY;
	tick();
	cr_expect(is_there(FIRST), "its grant lasts");
}

Test(grant_days, a_clock_that_leaps_removes_nothing_for_an_hour)
{
	share();
	make(grant(1, 1024));
	end(grant(1, 1024));
	tick();
	lab_set_clock(10 * DAY);
	tick();
	cr_expect(is_there(FIRST));
	lab.now += 3600;
	tick();
	cr_expect(!is_there(FIRST));
}

Test(grant_days, evidence_has_the_lines_that_are_named)
{
	struct history_files f;
	struct error err = { 0 };
	_cleanup_free_ char *text = NULL;
	char *line, *rest;
	size_t size = 0, before = 0;
	FILE *out = open_memstream(&text, &size);
	char command[256];

	share();
	make(grant(1, 1024));
	make(grant(2, 1088));
	lab.now += 10;
	cr_assert_eq(history_files_read(lab.state, &f, &err), 0);
	for (line = rest = strndup(f.text, f.size); line && *line; line = strchr(line, '\n') + 1) {
		struct history_record r = { 0 };

		if (!history_record_read(line, strcspn(line, "\n"), &r, &err) && r.event == EVENT_GRANT && !before++)
			cr_assert_eq(grant_days_copy(f.days, &r, out), 0);
		history_record_free(&r);
	}
	free(rest);
	history_files_free(&f);
	fclose(out);
	cr_expect(strstr(text, "10.0.0.1") && !strstr(text, "10.0.0.2"), "%s", text);
	/* A directory of evidence with the history, and this line. */
	snprintf(command, sizeof(command), "cd %s && rm grants-* && echo '{\"evidence\":2}' >question.json", lab.state);
	cr_assert_eq(system(command), 0);
	out = fopen(path_of(GRANT_EVIDENCE_FILE), "we");
	fputs(text, out);
	fclose(out);
	EXPECT(1030, NOON + 1, WHO_FOUND, 0x0a000001);
	EXPECT(1090, NOON + 1, WHO_NO_RECORD, 0);
	*(strstr(text, "10.0.0.1") + 7) = '3';
	out = fopen(path_of(GRANT_EVIDENCE_FILE), "we");
	fputs(text, out);
	fclose(out);
	EXPECT(1030, NOON + 1, WHO_NO_RECORD, 0);
}

extern const struct view view_leases_expire;

Test(grant_days, the_command_removes_what_the_agent_would)
{
	_cleanup_json_ cJSON *args = cJSON_CreateObject();
	_cleanup_free_ char *text = NULL;
	size_t size;
	struct writer w = { .out = open_memstream(&text, &size) };
	struct error err = { 0 };
	char damage[160];

	/* Today, by the clock of the machine, is later. */
	share();
	make(grant(1, 1024));
	end(grant(1, 1024));
	lab.now += DAY;
	make(grant(2, 1088));
	cJSON_AddTrueToObject(args, "grants");
	cJSON_AddStringToObject(args, "state_dir", lab.state);
	cr_expect_eq(view_leases_expire.run(NULL, args, &w, &err), EXIT_USAGE);
	cJSON_AddNumberToObject(args, "older", DAY);
	cr_expect_eq(view_leases_expire.run(NULL, args, &w, &err), EXIT_DONE, "%s", err.text);
	fclose(w.out);
	cr_expect_str_eq(text, FIRST " removed\n");
	cr_expect(!is_there(FIRST) && is_there(NEXT), "one of its grants lasts");
	EXPECT(1030, NOON + 1, WHO_NO_RECORD, 0);
	EXPECT(1090, NOON + DAY + 2, WHO_FOUND, 0x0a000002);
	cr_expect_eq(damages(damage), 0, "%s", damage);
	cr_expect_eq(ledger_faults(), 0);
}

/* The same number in a file that was begun anew, or had lost its end, would be another's line. */

static void start_without_knowing(struct history_grant *list, size_t n)
{
	struct history_mapping m = sharing();
	struct error err = { 0 };

	history_close(lab.history);
	cr_assert_eq(history_open(lab.state, -1, &lab.history, &err), 0, "%s", err.text);
	history_set_grants(lab.history, 2);
	cr_assert_eq(history_present(lab.history, FACT_GRANT, list, n), 0);
	cr_assert_eq(history_begin(lab.history, true, &m, 1), 0);
	cr_assert_eq(history_settle(lab.history, &err), 0, "%s", err.text);
}

Test(grant_days, a_file_that_lost_lines_gets_none_in_their_place)
{
	struct history_grant list[] = { grant(1, 1024), grant(2, 1088), grant(7, 1216) };
	struct stat st;

	share();
	make(list[0]);
	cr_assert_eq(stat(path_of(FIRST), &st), 0);
	make(list[1]);
	lab.now += 10;
	start_without_knowing(list, 2);
	cr_assert_eq(truncate(path_of(FIRST), st.st_size), 0);
	lab.now += 100;
	make(list[2]);
	EXPECT(1220, NOON + 50, WHO_NO_RECORD, 0);
	EXPECT(1090, NOON + 50, WHO_NO_RECORD, 0);
	EXPECT(1030, NOON + 50, WHO_FOUND, 0x0a000001);
	EXPECT(1220, NOON + 120, WHO_FOUND, 0x0a000007);
	lab.now += DAY;
	tick();
	start_without_knowing(list, 3);
	EXPECT(1030, NOON + 50, WHO_FOUND, 0x0a000001);
	EXPECT(1090, NOON + 5, WHO_NO_RECORD, 0);
	EXPECT(1090, lab.now + 1, WHO_FOUND, 0x0a000002);
	EXPECT(1220, lab.now + 1, WHO_FOUND, 0x0a000007);
}

Test(grant_days, a_file_that_was_removed_is_not_begun_anew_by_a_clock_set_back)
{
	struct history_grant one = grant(1, 1024), other = grant(7, 1216);

	share();
	make(one);
	lab.now += 10;
	start_without_knowing(&one, 1);
	lab.now += 10;
	end(one);
	tick();
	lab_set_clock(10 * DAY);
	tick();
	lab.now += 3600;
	tick();
	cr_assert(!is_there(FIRST));
	lab_set_clock(-10 * DAY);
	make(other);
	EXPECT(1220, NOON + 15, WHO_NO_RECORD, 0);
	cr_expect(!is_there(FIRST));
	EXPECT(1220, lab.now, WHO_FOUND, 0x0a000007);
	EXPECT(1030, lab.now, WHO_NO_RECORD, 0);
}

Test(grant_days, a_grant_whose_begin_was_changed_ends)
{
	_cleanup_free_ char *line = NULL;
	size_t size = 0;
	char text[160];
	FILE *f;

	share();
	make(grant(1, 1024));
	f = fopen(path_of(FIRST), "r+e");
	cr_assert(f && getline(&line, &size, f) > 0);
	*(strstr(line, "10.0.0.1") + 7) = '2';
	rewind(f);
	fputs(line, f);
	fclose(f);
	lab.now += 10;
	end(grant(1, 1024));
	lab.now += DAY;
	tick();
	cr_expect_eq(damages(text), 1);
	EXPECT(1030, NOON + 1, WHO_NO_RECORD, 0);
	EXPECT(1030, lab.now, WHO_NOBODY, 0);
	EXPECT(2050, lab.now - 10, WHO_FOUND, 0x0a000000);
}

Test(grant_days, verify_names_a_file_that_a_list_alone_names)
{
	struct history_grant one = grant(1, 1024);
	char text[160];

	share();
	lab.now += 10;
	start_without_knowing(&one, 1);
	cr_expect_eq(damages(text), 0, "%s", text);
	cr_assert(!unlink(path_of(FIRST)) && !unlink(path_of(LEDGER_FILE)) && !unlink(path_of(LEDGER_HEAD_FILE)));
	cr_expect_eq(damages(text), 1);
	cr_expect_str_eq(text, "names a grant of " FIRST ", which is missing", "%s", text);
	EXPECT(1030, NOON + 20, WHO_NO_RECORD, 0);
	EXPECT(2050, NOON + 20, WHO_FOUND, 0x0a000000);
}

Test(grant_days, who_had_the_ports_within_the_same_second_is_not_known_either)
{
	struct history_grant one = grant(1, 1024), other = grant(7, 1024);
	int64_t at;

	share();
	make(one);
	lab.now += DAY;
	cr_assert_eq(change(&one, &other), 0);
	at = lab.now;
	lab.now += 1;
	lab_confirm();
	EXPECT(1030, at, WHO_FOUND, 0x0a000007);
	lab.now += 2 * DAY;
	tick();
	cr_assert(!is_there(FIRST) && is_there(NEXT));
	EXPECT(1030, at, WHO_NO_RECORD, 0);
	EXPECT(1030, at + 10, WHO_FOUND, 0x0a000007);
	EXPECT(1030, at - 10, WHO_NO_RECORD, 0);
	EXPECT(2050, at, WHO_FOUND, 0x0a000000);
}
