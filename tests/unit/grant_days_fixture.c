/* SPDX-License-Identifier: BSD-2-Clause */
#include "grant_days_fixture.h"

#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/ledger_verify.h"
#include "history_fixture.h"
#include "recorder/history_private.h"

void days_begin(void)
{
	lab_setup();
	history_set_grants(lab.history, 2);
	lab_add("10.0.0.0/24", "1.1.1.0/32");
}

/* The 252 ports of each block are from 1024 on with the usual mapping; this one's shared range is from 1024 to 2047. */
struct history_mapping days_sharing(void)
{
	struct history_mapping m = lab_mapping("10.0.0.0/24", "1.1.1.0/32");

	m.blocks = (struct plan_blocks){ .ratio = 256, .first_port = 2048, .pitch = 240, .ports_per_host = 240 };
	return m;
}

void days_share(void)
{
	struct history_mapping del = lab_mapping("10.0.0.0/24", "1.1.1.0/32"), add = days_sharing();
	struct error err = { 0 };

	cr_assert_eq(lab_change(lab.history, &del, 1, &add, 1, &lab_no_portmaps, NULL, &err), 0, "%s", err.text);
	lab_confirm();
}

struct history_grant days_grant(uint32_t host, uint16_t port_lo)
{
	return (struct history_grant){
		.in = 0x0a000000 + host, .out = 0x01010100, .port_lo = port_lo, .ports = 64, .from = TIME_NONE
	};
}

int days_change(struct history_grant *end, struct history_grant *begin)
{
	const struct history_change c = { .del[FACT_GRANT] = { end, end != NULL },
					  .add[FACT_GRANT] = { begin, begin != NULL } };
	struct error err = { 0 };

	return history_change(lab.history, &c, &err);
}

void days_make(struct history_grant g)
{
	cr_assert_eq(days_change(NULL, &g), 0);
	lab_confirm();
}

void days_end(struct history_grant g)
{
	cr_assert_eq(days_change(&g, NULL), 0);
	lab_confirm();
}

void days_tick(void)
{
	struct error err = { 0 };

	cr_assert_eq(history_tick(lab.history, &err), 0, "%s", err.text);
}

char *days_path(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", lab.state, name);
	return path;
}

bool days_is_there(const char *name)
{
	return !access(days_path(name), F_OK);
}

bool days_says(const char *name, const char *text)
{
	_cleanup_free_ char *line = NULL;
	size_t room = 0;
	FILE *f = fopen(days_path(name), "re");
	bool found = false;

	while (f && getline(&line, &room, f) > 0)
		found |= strstr(line, text) != NULL;
	if (f)
		fclose(f);
	return found;
}

enum who_result days_ask(const char *dir, uint16_t port, int64_t t, uint32_t *ret_in, struct error *why)
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

/* What `history verify` finds. */
size_t days_damages(char ret[static 160])
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

uint64_t days_ledger_faults(void)
{
	struct ledger_state s;
	struct error err = { 0 };

	cr_assert_eq(ledger_verify(lab.state, nothing, NULL, &s, &err), 0, "%s", err.text);
	return s.wrong;
}

/* The same number in a file that was begun anew, or had lost its end, would be another's line. */
void days_start_without_knowing(struct history_grant *list, size_t n)
{
	struct history_mapping m = days_sharing();
	struct error err = { 0 };

	history_close(lab.history);
	cr_assert_eq(history_open(lab.state, -1, &lab.history, &err), 0, "%s", err.text);
	history_set_grants(lab.history, 2);
	cr_assert_eq(history_present(lab.history, FACT_GRANT, list, n), 0);
	cr_assert_eq(history_begin(lab.history, true, &m, 1), 0);
	cr_assert_eq(history_settle(lab.history, &err), 0, "%s", err.text);
}
