/* SPDX-License-Identifier: BSD-2-Clause */
#include "recorder/grant_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/array_grow.h"
#include "base/ledger.h"
#include "history/history_grant_days.h"
#include "host/accounts.h"

/* A grant that becomes a line of a day's file. */
struct placed {
	struct history_record said; /* what the line says */
	struct history_record *of;  /* the record that names it; NULL: a list does */
	struct history_grant *grant;
};

struct placing {
	struct history_file *f;
	uint32_t now, today; /* the day, and that whose file gets what begins */
	struct placed *grant;
	size_t n, room;
};

/* The directory of the history; NULL: no memory. The caller frees it. */
static char *directory_of(const struct history_file *f)
{
	return strndup(f->path, strlen(f->path) - strlen("/" HISTORY_FILE));
}

static int add(struct placing *p, const struct history_record *r, struct history_record *of, struct history_grant *g)
{
	struct placed *one;

	if (array_grow(&p->grant, p->n, &p->room, sizeof(*p->grant)))
		return -ENOMEM;
	one = &p->grant[p->n++];
	*one = (struct placed){ .of = of, .grant = g };
	one->said.event = EVENT_GRANT;
	one->said.time = r->time;
	one->said.ends = of && of->ends;
	one->said.grant = *g;
	return 0;
}

/* Whether a day's file has all lines that the history names. One that has lost some, or was removed, gets no more. */
static bool goes_on(const struct history_file *f, uint32_t day)
{
	char name[LEDGER_NAME];
	struct chain_tip tip;

	return chain_tip_at(f->dir, ledger_file_name(LEDGER_GRANTS, (int64_t)day * DAY_S, name), &tip) ||
	       tip.line >= grant_days_named(f->days, day);
}

static void begin_today(struct placing *p, struct history_grant *g, int64_t now)
{
	uint32_t day = (uint32_t)(now / DAY_S);

	if (day != p->now)
		for (p->now = p->today = day; !goes_on(p->f, p->today);)
			p->today++;
	g->day = p->today;
	g->at = 0;
}

/* What ended of a file that is gone, or of grants of which nobody knows any more, the history alone says. */
static bool has_file(const struct placing *p, const struct history_grant *g)
{
	return g->day && !history_grant_unknown(g) && goes_on(p->f, g->day);
}

static int place_record(struct placing *p, struct history_record *r)
{
	r->day_line = 0;
	if (r->ends)
		return has_file(p, &r->grant) ? add(p, r, r, &r->grant) : 0;
	r->grant.day = r->grant.at = 0;
	if (!p->f->grant_days || r->time < DAY_S)
		return 0;
	begin_today(p, &r->grant, r->time);
	return add(p, r, r, &r->grant);
}

/* What a list begins is new; what it only says again has its place. */
static int place_list(struct placing *p, struct history_record *r)
{
	int ret = 0;

	for (size_t i = 0; i < r->n_grants && !ret; i++) {
		struct history_grant *g = &r->grants[i];
		const struct grant_interval *known = history_facts_find(FACT_GRANT, &p->f->index.grants.facts, g);

		if (g->day)
			continue;
		if (known) {
			g->day = known->grant.day;
			g->at = known->grant.at;
		} else if (p->f->grant_days && r->time >= DAY_S) {
			begin_today(p, g, r->time);
			ret = add(p, r, NULL, g);
		}
	}
	return ret;
}

/* The lines of one day. */
struct day_text {
	FILE *out;
	char *bodies;
	size_t size;
};

static int write_line(struct placed *one, FILE *bodies, struct chain_tip *tip)
{
	_cleanup_free_ char *body = NULL, *line = NULL;
	size_t size = 0, n = 0;
	FILE *out = open_memstream(&body, &size);
	int r = out ? history_grant_body_write(out, &one->said) : -ENOMEM;

	if (out && fclose(out) && !r)
		r = -ENOMEM;
	r = r ? r : chain_write_all(body, size, tip, &line, &n);
	if (r)
		return r;
	fwrite(body, 1, size, bodies);
	if (!one->said.ends)
		one->grant->at = (uint32_t)tip->line;
	if (!one->of)
		return 0;
	one->of->day_line = tip->line;
	memcpy(one->of->day_hash, tip->hash, HASH_TEXT);
	return 0;
}

static int write_lines(struct placing *p, uint32_t day, struct chain_tip *tip, char **ret, size_t *ret_size)
{
	FILE *out = open_memstream(ret, ret_size);
	int r = out ? 0 : -ENOMEM;

	for (size_t i = 0; i < p->n && !r; i++)
		if (p->grant[i].grant->day == day)
			r = write_line(&p->grant[i], out, tip);
	if (out && fclose(out) && !r)
		r = -ENOMEM;
	return r;
}

/* Whoever may ask may read a new file, and see in the ledger that one was removed. */
static void show_to_readers(const struct history_file *f, const char *name)
{
	const char *const shown[] = { name, LEDGER_FILE };

	for (size_t i = 0; i < ARRAY_SIZE(shown); i++) {
		struct chain c;

		if (chain_open(f->dir, shown[i], O_RDONLY, &c))
			continue;
		give_to_readers(c.fd);
		chain_close(&c);
	}
}

/* The ledger takes back what a crash left of an earlier writing: the lines then have other numbers than was thought. */
static int write_day(struct placing *p, uint32_t day, struct error *err)
{
	_cleanup_free_ char *dir = directory_of(p->f);
	char name[LEDGER_NAME];
	int r = dir ? 0 : error_set(err, -ENOMEM, "out of memory");

	ledger_file_name(LEDGER_GRANTS, (int64_t)day * DAY_S, name);
	for (unsigned attempt = 0; !r && attempt < 2; attempt++) {
		_cleanup_free_ char *bodies = NULL;
		struct chain_tip before, tip, found;
		size_t size = 0;

		r = chain_tip_at(p->f->dir, name, &before);
		tip = before;
		r = r ? r : write_lines(p, day, &tip, &bodies, &size);
		if (r)
			return error_set(err, r, "%.200s/%s cannot be written: %s", dir, name, strerror(-r));
		r = ledger_append(dir, name, bodies, size, p->grant[0].said.time, err);
		if (r)
			return r;
		if (day != p->f->shown)
			show_to_readers(p->f, name);
		p->f->shown = day;
		r = chain_tip_at(p->f->dir, name, &found);
		if (!r && found.line == tip.line && !strcmp(found.hash, tip.hash))
			return 0;
	}
	return r ? r : error_set(err, -EBUSY, "%.200s/%s: another program writes to it", dir, name);
}

int grant_files_append(struct history_file *f, struct history_record *records, size_t n, struct error *err)
{
	struct placing p = { .f = f };
	int r = 0;

	for (size_t i = 0; i < n && !r; i++) {
		if (records[i].event == EVENT_GRANT)
			r = place_record(&p, &records[i]);
		else if (records[i].event == EVENT_GRANTS)
			r = place_list(&p, &records[i]);
	}
	if (r)
		error_set(err, r, "out of memory");
	/* Each day once, at its first grant. */
	for (size_t i = 0; i < p.n && !r; i++) {
		size_t k = 0;

		while (p.grant[k].grant->day != p.grant[i].grant->day)
			k++;
		r = k == i ? write_day(&p, p.grant[i].grant->day, err) : 0;
	}
	free(p.grant);
	return r;
}

void grant_files_forget(struct history_file *f)
{
	if (!history_grants_gone(&f->index, f->dir, true))
		return;
	grant_days_clear(f->days);
	unlinkat(f->dir, HISTORY_CACHE_FILE, 0);
	f->cached = 0;
}

struct expiry {
	const struct history_index *x;
	int64_t before;
};

static bool stays(void *arg, const char *name)
{
	const struct expiry *e = arg;

	return history_grants_stay(e->x, name, e->before);
}

int grant_files_expire(struct history_file *f, int64_t before, int64_t now, unsigned *ret, struct error *err)
{
	_cleanup_free_ char *dir = directory_of(f);
	struct expiry e = { &f->index, before };
	const struct ledger_expiry x = {
		.dir = dir, .kind = LEDGER_GRANTS, .before = before, .stays = stays, .arg = &e
	};
	int r = dir ? ledger_expire(&x, now, ret, err) : error_set(err, -ENOMEM, "out of memory");

	grant_files_forget(f);
	return r;
}
