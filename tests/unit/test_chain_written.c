/* SPDX-License-Identifier: BSD-2-Clause */
/* What the writers of chained lines write, octet for octet: listings/chains.txt. */
#include <criterion/criterion.h>

#include <dirent.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "history/history_claims.h"
#include "base/ledger.h"
#include "leases/lease_append.h"
#include "listed.h"
#include "recorder/file.h"

#define T0 1769860800LL /* 2026-01-31T12:00:00Z */

static char dir[] = "/tmp/detnat-chains.XXXXXX";

static void run(const char *command)
{
	char text[512];

	snprintf(text, sizeof(text), "cd %s && %s", dir, command);
	cr_assert_eq(system(text), 0, "%s", text);
}

static struct prefix prefix(const char *text)
{
	struct prefix p;

	cr_assert_eq(prefix_parse(text, &p), 0);
	return p;
}

static void write_history(void)
{
	struct history_mapping m = { prefix("10.0.0.0/24"), prefix("1.1.1.0/30"), .from = T0 + 1, .name = "a" };
	struct history_portmap p = {
		.in = { 0x0a000001, 80, 80 }, .out = { 0x01010101, 2000, 2000 }, .proto = IPPROTO_TCP, .from = T0 + 2
	};
	struct history_record all[] = {
		{ .event = EVENT_START, .time = T0, .since = TIME_NONE, .host = "gw1" },
		{ .event = EVENT_ADD, .time = T0 + 1, .mapping = m },
		{ .event = EVENT_CONFIRM, .time = T0 + 1, .first = 2, .last = 2, .until = T0 + 2 },
		{ .event = EVENT_PORTMAP, .time = T0 + 2, .portmap = p },
		{ .event = EVENT_UNDO, .time = T0 + 3, .first = 4, .last = 4, .until = T0 + 3 },
		{ .event = EVENT_CLOCK, .time = T0 + 4, .since = T0 + 3, .after = T0 + 9 },
		{ .event = EVENT_DAILY, .time = T0 + 86400, .mappings = &m, .n_mappings = 1 },
		{ .event = EVENT_DEL, .time = T0 + 86401, .mapping = m },
		{ .event = EVENT_STOP, .time = T0 + 86402 },
	};
	struct history_file f;
	struct error err;

	cr_assert_eq(history_file_open(dir, &f, &err), 0, "%s", err.text);
	cr_assert_eq(history_file_append(&f, all, 1, true, &err), 0, "%s", err.text);
	cr_assert_eq(history_file_append(&f, all + 1, 7, false, &err), 0, "%s", err.text);
	history_file_close(&f);
	/* An incomplete line, as of a crash, goes. */
	log_set_level(LOG_LEVEL_ERROR);
	run("printf '{\"line\":9,\"ti' >>history.jsonl");
	cr_assert_eq(history_file_open(dir, &f, &err), 0, "%s", err.text);
	cr_assert_eq(history_file_append(&f, all + 8, 1, true, &err), 0, "%s", err.text);
	cr_expect_eq(f.index.n_damages, 0);
	cr_assert_eq(history_file_mark(&f, T0 + 86402,
				       (struct clock_reading){ (T0 + 86402) * 1000000000, 5000000000, 0 },
				       (struct clock_state){ 0 }, false),
		     0);
	history_file_close(&f);
	run("sed -i 's/\"boot\":\"[^\"]*\"/\"boot\":\"B\"/;s/\"gateway\":\"[0-9a-f-]\\{36\\}\"/\"gateway\":\"G\"/' "
	    "history.head");
}

static void add(struct lease_batch *b, int64_t t, enum lease_event event, const char *id)
{
	struct lease_line l;

	lease_line_init(&l, t, event);
	l.addr = lease_addr_of(0x64401010);
	snprintf(l.id, sizeof(l.id), "%s", id);
	cr_assert_eq(lease_batch_add(b, &l), 0);
}

static void write_leases(void)
{
	struct lease_batch b = { .dir = dir, .fresh = true };
	struct error err;

	add(&b, T0 - 86400, LEASE_START, "before");
	add(&b, T0, LEASE_START, "alice");
	add(&b, T0 + 1, LEASE_STOP, "al\"ice");
	add(&b, T0 + 86400, LEASE_START, "bob");
	cr_assert_eq(lease_batch_write(&b, T0 + 86400, &err), 0, "%s", err.text);
	run("printf '{\"line\":3,\"ti' >>leases-2026-01-31.jsonl");
	b = (struct lease_batch){ .dir = dir };
	add(&b, T0 + 2, LEASE_START, "carol");
	cr_assert_eq(lease_batch_write(&b, T0 + 86401, &err), 0, "%s", err.text);
	cr_assert_eq(ledger_remove(dir, "leases-2026-01-30.jsonl", T0 + 86402, &err), 0, "%s", err.text);
}

static void write_queries(void)
{
	static const char body[] = "\"time\":\"2026-01-31T12:00:00Z\",\"user\":\"root\",\"case\":\"1\"\n";
	struct error err;

	cr_assert_eq(ledger_append(dir, "queries-2026-01.jsonl", body, sizeof(body) - 1, T0, &err), 0, "%s", err.text);
	cr_assert_eq(ledger_append(dir, "queries-2026-01.jsonl", body, sizeof(body) - 1, T0 + 1, &err), 0);
}

static void claim(const char *in, const char *source)
{
	struct claim_origin o = { .from = T0 - 86400, .time = T0 };
	struct plan_mapping m = PLAN_MAPPING;
	struct claim_block b[] = { { 0x0a010001, 0x01010201, 1024, 2047 }, { 0x0a010002, 0x01010202, 1024, 2047 } };
	uint64_t lines;
	struct error err;

	cr_assert_eq(plan_addresses_read(in, &m.in, &err), 0);
	cr_assert_eq(plan_addresses_read("1.1.1.0/30", &m.out, &err), 0);
	m.subscribers_per_address = 64;
	m.ports_per_host = 1008;
	snprintf(o.source, sizeof(o.source), "%s", source);
	memset(o.sha256, 'a', HASH_TEXT - 1);
	cr_assert_eq(history_claims_append(dir, &o, &(struct claim_plan){ &m, 1, b, 2 }, &lines, &err), 0);
	cr_expect_eq(lines, 3);
	plan_mapping_free(&m);
}

static void write_claims(void)
{
	claim("10.0.0.0/24", "old.conf");
	claim("10.0.1.0/24", "older\".conf");
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static void print_files(FILE *out)
{
	struct dirent **entry;
	int n = scandir(dir, &entry, NULL, by_name);

	for (int i = 0; i < n; i++) {
		char path[320], text[8192];
		FILE *in;
		size_t size;

		snprintf(path, sizeof(path), "%s/%s", dir, entry[i]->d_name);
		in = *entry[i]->d_name == '.' ? NULL : fopen(path, "re");
		free(entry[i]);
		if (!in)
			continue;
		size = fread(text, 1, sizeof(text), in);
		fprintf(out, "%s:\n%.*s", strrchr(path, '/') + 1, (int)size, text);
		fclose(in);
	}
	free(entry);
}

static void print_written(FILE *out, const char *name, const char *text, size_t size)
{
	static const struct {
		const char *name;
		void (*write)(void);
	} writers[] = {
		{ "history", write_history },
		{ "leases", write_leases },
		{ "queries", write_queries },
		{ "claims", write_claims },
	};

	(void)text;
	(void)size;
	for (size_t i = 0; i < ARRAY_SIZE(writers); i++) {
		if (strcmp(writers[i].name, name) != 0)
			continue;
		cr_assert(mkdtemp(dir));
		writers[i].write();
		print_files(out);
		run("rm -rf $PWD");
		memset(dir + strlen(dir) - 6, 'X', 6);
	}
}

Test(chain_written, files_are_as_recorded)
{
	listed_expect("tests/unit/listings/chains.txt", print_written);
}
