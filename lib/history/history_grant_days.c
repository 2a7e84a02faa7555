// SPDX-License-Identifier: BSD-2-Clause
#include "history/history_grant_days.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <detnat/growth.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/array_grow.h"
#include "base/cleanup.h"
#include "base/json_scan.h"
#include "base/json_text.h"
#include "base/ledger.h"
#include "base/ledger_lines.h"
#include "base/search.h"
#include "base/whole_file.h"

#define SALT_OCTETS 16U

/* ---- Lines */

static const char *name_of(uint32_t day, char ret[static LEDGER_NAME])
{
	return ledger_file_name(LEDGER_GRANTS, (int64_t)day * DAY_S, ret);
}

bool history_record_of_day(const struct history_record *r)
{
	bool of_day = r->event == EVENT_GRANT && r->grant.day;

	for (size_t i = 0; r->event == EVENT_GRANTS && i < r->n_grants; i++)
		of_day |= r->grants[i].day != 0;
	return of_day;
}

bool history_grant_fits(const struct geometry *geo, const struct history_grant *g)
{
	int number;

	if (history_grant_unknown(g) || !geo->ports_per_host || !mapping_has_inside(geo, g->in) ||
	    mapping_out_addr(geo, mapping_subscriber(geo, g->in)) != g->out)
		return false;
	number = growth_block_of(geo, g->ports, g->port_lo);
	return number >= 0 && growth_port_lo(geo, g->ports, (uint32_t)number) == g->port_lo;
}

void history_grant_line_write(FILE *out, const struct history_record *r)
{
	if (r->grant.day && r->day_line)
		fprintf(out, ",\"day_line\":%" PRIu64 ",\"day_hash\":\"%s\"", r->day_line, r->day_hash);
}

bool history_grant_line_read(const cJSON *json, struct history_record *r)
{
	const char *hash = json_text(json, "day_hash", "");

	if (!r->grant.day || !cJSON_HasObjectItem(json, "day_line"))
		return true;
	if (!json_count(json, "day_line", &r->day_line) || strlen(hash) != HASH_TEXT - 1)
		return false;
	memcpy(r->day_hash, hash, HASH_TEXT);
	return true;
}

int history_grant_body_write(FILE *out, const struct history_record *r)
{
	uint8_t salt[SALT_OCTETS];
	struct history_grant g = r->grant;
	char time[TIME_TEXT];

	if (getrandom(salt, sizeof(salt), 0) != (ssize_t)sizeof(salt))
		return errno_or(EIO);
	g.day = 0;
	fprintf(out, "\"time\":\"%s\",\"event\":\"grant\",", time_format(r->time, time));
	history_fact_write(out, FACT_GRANT, &g);
	if (r->ends)
		fprintf(out, ",\"to\":\"%s\",\"salt\":\"", time);
	else
		fputs(",\"to\":null,\"salt\":\"", out);
	for (size_t i = 0; i < sizeof(salt); i++)
		fprintf(out, "%02x", salt[i]);
	fputs("\"\n", out);
	return 0;
}

/* ---- Files */

struct day_line {
	uint64_t line;
	uint64_t begin, size;	    /* octets of the file */
	struct history_grant grant; /* of no ports: it says nothing */
	char hash[HASH_TEXT];
	char previous[HASH_TEXT]; /* of the line before it */
};

struct day {
	uint32_t number;
	bool there;
	bool removed;	       /* the ledger says so */
	uint64_t size;	       /* octets that were read */
	struct day_line *line; /* in order of their numbers */
	size_t n, room;
	uint64_t trimmed; /* lines before these */
	uint64_t named;	  /* the last line that the history names */
	char hash[HASH_TEXT];
};

struct grant_days {
	int dir;
	bool evidence;
	bool read_evidence;
	bool read_ledger;
	struct day *day; /* in order of their numbers */
	size_t n, room;
	uint32_t *removed; /* days whose files the ledger says were removed; in its order */
	size_t n_removed, removed_room;
};

int grant_days_new(int dir, bool evidence, struct grant_days **ret)
{
	struct grant_days *d = calloc(1, sizeof(*d));

	if (!d)
		return -ENOMEM;
	d->evidence = evidence;
	d->dir = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d->dir < 0) {
		int r = -errno;

		free(d);
		return r;
	}
	*ret = d;
	return 0;
}

static void begin_again(struct day *day)
{
	free(day->line);
	*day = (struct day){ .number = day->number, .removed = day->removed, .named = day->named, .hash = HASH_NONE };
}

void grant_days_clear(struct grant_days *d)
{
	for (size_t i = 0; i < d->n; i++) {
		d->day[i].removed = false;
		begin_again(&d->day[i]);
	}
	free(take_pointer(d->removed));
	d->n_removed = d->removed_room = 0;
	d->read_evidence = d->read_ledger = false;
}

void grant_days_trim(struct grant_days *d)
{
	for (size_t i = 0; i < d->n; i++) {
		struct day *day = &d->day[i];

		free(take_pointer(day->line));
		day->trimmed += day->n;
		day->n = day->room = 0;
	}
}

void grant_days_free(struct grant_days *d)
{
	if (!d)
		return;
	grant_days_clear(d);
	free(d->day);
	close_fd(&d->dir);
	free(d);
}

/* The place of a day, where it is or belongs. */
static size_t place_of(const struct grant_days *d, uint32_t number)
{
	return count_while(k, d->n, d->day[k].number < number);
}

static bool is_at(const struct grant_days *d, size_t i, uint32_t number)
{
	return i < d->n && d->day[i].number == number;
}

/* A day that is known, or that becomes so; NULL: no memory. */
static struct day *day_of(struct grant_days *d, uint32_t number)
{
	size_t i = place_of(d, number);

	if (is_at(d, i, number))
		return &d->day[i];
	if (array_grow(&d->day, d->n, &d->room, sizeof(*d->day)))
		return NULL;
	memmove(&d->day[i + 1], &d->day[i], (d->n++ - i) * sizeof(*d->day));
	d->day[i] = (struct day){ .number = number, .hash = HASH_NONE };
	return &d->day[i];
}

/* What the line says of a grant; nothing if it was changed, or is none of a grant. */
static int note_line(struct day *day, uint64_t number, const char *previous, const char *line, size_t size)
{
	struct day_line *l;
	cJSON *json;

	if (array_grow(&day->line, day->n, &day->room, sizeof(*day->line)))
		return -ENOMEM;
	l = &day->line[day->n++];
	*l = (struct day_line){ .line = number, .begin = day->size, .size = size, .hash = HASH_NONE };
	memcpy(l->previous, previous, HASH_TEXT);
	if (chain_check(line, size, l->previous, l->hash))
		return 0;
	json = memchr(line, '\0', size) ? NULL : cJSON_ParseWithLength(line, size);
	if (json && !cJSON_HasObjectItem(json, "day") && !history_fact_read(json, FACT_GRANT, &l->grant))
		l->grant = (struct history_grant){ 0 };
	cJSON_Delete(json);
	return 0;
}

static int take_line(void *arg, const char *name, uint64_t number, const char *line, size_t size)
{
	struct day *day = arg;
	int r;

	(void)name;
	(void)number;
	r = note_line(day, day->trimmed + day->n + 1, day->hash, line, size);
	day->size += size + 1;
	chain_check(line, size, day->hash, day->hash);
	return r;
}

static int take_evidence(void *arg, const char *file, const char *previous, const char *line, size_t size)
{
	struct grant_days *d = arg;
	struct day *day = NULL;
	int64_t begin;

	if (!ledger_file_begin(LEDGER_GRANTS, file, &begin) && begin > 0)
		day = day_of(d, (uint32_t)(begin / DAY_S));
	if (!day)
		return -ENOMEM;
	return note_line(day, chain_number(line, size), previous, line, size);
}

static int by_number(const void *pa, const void *pb)
{
	const struct day_line *a = pa, *b = pb;

	return (a->line > b->line) - (a->line < b->line);
}

static int read_evidence(struct grant_days *d)
{
	_cleanup_close_ int fd = file_open(d->dir, GRANT_EVIDENCE_FILE);
	_cleanup_free_ char *text = NULL;
	size_t size = 0;
	int r;

	d->read_evidence = true;
	if (fd < 0 || file_read(fd, UINT32_MAX, &text, &size))
		return 0;
	r = ledger_lines_read(LEDGER_GRANTS, text, size, take_evidence, d, NULL);
	for (size_t i = 0; i < d->n; i++)
		if (d->day[i].n)
			qsort(d->day[i].line, d->day[i].n, sizeof(*d->day[i].line), by_number);
	return r == -ENOMEM ? r : 0;
}

/* Notes removals of files of grants. */
static int take_removal(void *arg, const char *name, uint64_t number, const char *line, size_t size)
{
	struct grant_days *d = arg;
	_cleanup_json_ cJSON *json = NULL;
	int64_t begin;

	(void)name;
	(void)number;
	if (!memmem(line, size, "\"event\":\"remove\"", 16) || !memmem(line, size, "\"grants-", 8))
		return 0;
	json = cJSON_ParseWithLength(line, size);
	if (ledger_file_begin(LEDGER_GRANTS, json_text(json, "file", ""), &begin) || begin <= 0)
		return 0;
	if (array_grow(&d->removed, d->n_removed, &d->removed_room, sizeof(*d->removed)))
		return -ENOMEM;
	d->removed[d->n_removed++] = (uint32_t)(begin / DAY_S);
	return 0;
}

static int note_removed(struct grant_days *d, struct day *day)
{
	size_t torn;
	int r = d->read_ledger ? 0 : chain_read(d->dir, LEDGER_FILE, take_removal, d, &torn);

	d->read_ledger = true;
	for (size_t i = 0; i < d->n_removed; i++)
		day->removed |= d->removed[i] == day->number;
	return r == -ENOMEM ? r : 0;
}

/* Reads what the file has grown by. */
static int read_day(struct grant_days *d, struct day *day)
{
	struct chain c = { .fd = -1 };
	char name[LEDGER_NAME];
	size_t torn;
	int r = chain_open(d->dir, name_of(day->number, name), O_RDONLY, &c);

	day->there = !r;
	if (r == -ENOENT)
		return note_removed(d, day);
	if (r)
		return r == -ELOOP || r == -EACCES || r == -ENXIO ? 0 : r;
	r = chain_read_part(c.fd, name, day->size, UINT64_MAX, take_line, day, &torn);
	chain_close(&c);
	return r == -EFBIG ? 0 : r;
}

static int find_line(struct grant_days *d, uint32_t number, uint64_t line, struct day **ret_day, struct day_line **ret)
{
	struct day *day;
	size_t i;
	int r = d->evidence && !d->read_evidence ? read_evidence(d) : 0;

	day = r ? NULL : day_of(d, number);
	if (!day)
		return -ENOMEM;
	if (line > day->named)
		day->named = line;
	if (!d->evidence && line <= day->trimmed)
		begin_again(day);
	if (!d->evidence && !day->removed && day->trimmed + day->n < line)
		r = read_day(d, day);
	if (r)
		return r;
	i = count_while(k, day->n, day->line[k].line < line);
	*ret_day = day;
	*ret = i < day->n && day->line[i].line == line ? &day->line[i] : NULL;
	return 0;
}

uint64_t grant_days_named(const struct grant_days *d, uint32_t day)
{
	size_t i = place_of(d, day);

	return is_at(d, i, day) ? d->day[i].named : 0;
}

/* Who had which ports: what the line of a day says, and the history does not. */
static void take_holder(struct history_grant *to, const struct history_grant *from)
{
	to->in = from->in;
	to->out = from->out;
	to->port_lo = from->port_lo;
	to->ports = from->ports;
}

int grant_days_find(struct grant_days *d, uint32_t number, uint64_t line, const char *hash, struct history_grant *ret,
		    struct error *why)
{
	struct day *day = NULL;
	struct day_line *l = NULL;
	char name[LEDGER_NAME];
	int r = find_line(d, number, line, &day, &l);

	if (r)
		return r;
	name_of(number, name);
	if (l && l->grant.ports && (!*hash || !strcmp(hash, l->hash))) {
		take_holder(ret, &l->grant);
		return 0;
	}
	if (!l && (d->evidence || (!day->there && day->removed)))
		return -ENOENT;
	if (!day->there && !d->evidence)
		return error_set(why, -EBADMSG, "names a grant of %s, which is missing", name);
	return error_set(why, -EBADMSG, "names line %" PRIu64 " of %s, which %s", line, name,
			 l ? "was changed" : "is missing");
}

int grant_days_resolve(struct grant_days *d, struct history_record *r, uint32_t *ret_missed, struct error *why)
{
	struct error again;
	int ret = 0, one;

	*ret_missed = r->grant.day;
	if (!d)
		return 0;
	if (r->event == EVENT_GRANT && r->grant.day && r->day_line)
		ret = grant_days_find(d, r->grant.day, r->day_line, r->day_hash, &r->grant, why);
	for (size_t i = 0; r->event == EVENT_GRANTS && i < r->n_grants; i++) {
		struct history_grant *g = &r->grants[i];

		one = g->day ? grant_days_find(d, g->day, g->at, "", g, ret ? &again : why) : 0;
		if (one && one != -ENOENT && one != -EBADMSG)
			return one;
		if (one == -EBADMSG && !ret)
			*ret_missed = g->day;
		ret = one == -EBADMSG ? one : ret;
	}
	return ret == -ENOENT ? 0 : ret;
}

static int copy_one(struct grant_days *d, uint32_t number, uint64_t line, FILE *out)
{
	struct chain c = { .fd = -1 };
	struct day_line *l = NULL;
	struct day *day;
	char name[LEDGER_NAME];
	int r = find_line(d, number, line, &day, &l);

	if (r || !l || d->evidence || chain_open(d->dir, name_of(number, name), O_RDONLY, &c))
		return r;
	_cleanup_free_ char *text = malloc(l->size + 1);

	if (text && pread(c.fd, text, l->size, (off_t)l->begin) == (ssize_t)l->size)
		ledger_line_write(out, name, l->previous, text, l->size);
	chain_close(&c);
	return text ? 0 : -ENOMEM;
}

int grant_days_copy(struct grant_days *d, const struct history_record *r, FILE *out)
{
	int ret = 0;

	if (r->event == EVENT_GRANT && r->grant.day && r->day_line)
		ret = copy_one(d, r->grant.day, r->day_line, out);
	for (size_t i = 0; r->event == EVENT_GRANTS && i < r->n_grants && !ret; i++)
		if (r->grants[i].day)
			ret = copy_one(d, r->grants[i].day, r->grants[i].at, out);
	return ret;
}

/* ---- Days of an index */

void history_grant_recall(const struct history_grants *known, struct history_grant *g)
{
	for (size_t i = known->n_open; i-- > 0;) {
		const struct history_grant *k = &known->interval[known->open[i]].grant;

		if (k->day == g->day && k->at == g->at) {
			take_holder(g, k);
			return;
		}
	}
}

static bool file_there(int dir, uint32_t day)
{
	char name[LEDGER_NAME];

	return !faccessat(dir, name_of(day, name), F_OK, 0);
}

bool history_grants_gone(struct history_index *x, int dir, bool forget)
{
	uint32_t last = 0;
	bool there = true, gone = false;

	for (size_t i = 0; i < x->grants.n; i++) {
		struct history_grant *g = &x->grants.interval[i].grant;

		if (!g->day || history_grant_unknown(g))
			continue;
		if (g->day != last)
			there = file_there(dir, g->day);
		last = g->day;
		if (there || (forget && x->grants.interval[i].to == TIME_OPEN))
			continue;
		gone = true;
		if (forget)
			g->in = g->port_lo = g->ports = 0;
	}
	return gone;
}

bool history_grants_stay(const struct history_index *x, const char *name, int64_t since)
{
	int64_t begin;

	if (ledger_file_begin(LEDGER_GRANTS, name, &begin))
		return true;
	for (size_t i = 0; i < x->grants.n; i++) {
		const struct grant_interval *v = &x->grants.interval[i];

		if (v->grant.day == begin / DAY_S && !v->undone && (v->to == TIME_OPEN || v->to >= since))
			return true;
	}
	return false;
}
