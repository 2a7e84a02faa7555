/* SPDX-License-Identifier: BSD-2-Clause */
/* Writes the file of evidence. */
#include "leases/lease_evidence.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "base/withheld.h"
#include "leases/lease_days_private.h"

void lease_evidence_begin(struct lease_days *d)
{
	d->noting = true;
}

/* ---- Which lines */

struct noting {
	struct lease_days *d;
	size_t day;
};

static int note_row(void *arg, const struct lease_row *row)
{
	const struct noting *n = arg;

	return lease_days_note(n->d, n->day, row->at);
}

int lease_evidence_note_all(struct lease_days *d, const struct lease_addr *addr, struct error *err)
{
	int r = 0;

	for (size_t i = 0; i < d->names.n && !r; i++) {
		const struct lease_day *day = &d->day[i];
		struct noting n = { d, i };

		if (!day->ready)
			continue;
		r = lease_index_rows(d->dir, day, lease_day_addr_key(addr), note_row, &n);
		for (size_t k = 0; k < day->n_remarks && !r; k++)
			r = lease_days_note(d, i, (uint64_t)day->remark[k].at);
		r = r ? lease_day_failed(day, r, err) : 0;
	}
	return r;
}

void lease_lines_close(struct lease_lines *x)
{
	if (x->open)
		close(x->fd);
	x->open = false;
}

int lease_evidence_line(struct lease_lines *x, const struct lease_place *p, struct lease_line *ret)
{
	const struct lease_day *day = &x->d->day[p->day];

	if (!x->open || x->day != p->day) {
		lease_lines_close(x);
		x->fd = lease_day_open(x->d->dir, day);
		if (x->fd < 0)
			return x->fd;
		x->day = p->day;
		x->open = true;
	}
	return lease_day_line(day, x->fd, p->at, ret);
}

/* The lines of a day, in memory. */
struct lines {
	const char *text;
	size_t size;
};

static int map_day(const struct lease_days *d, size_t i, struct lines *ret)
{
	_cleanup_close_ int fd = lease_day_open(d->dir, &d->day[i]);
	struct stat st;
	void *text;

	*ret = (struct lines){ 0 };
	if (fd < 0 || fstat(fd, &st))
		return fd < 0 ? fd : -errno;
	if ((uint64_t)st.st_size < d->day[i].extent.end.size)
		return -ESTALE;
	if (!d->day[i].extent.end.size)
		return 0;
	text = mmap(NULL, d->day[i].extent.end.size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (text == MAP_FAILED)
		return -errno;
	*ret = (struct lines){ text, d->day[i].extent.end.size };
	return 0;
}

static void unmap_day(struct lines *l)
{
	if (l->size)
		munmap((void *)(uintptr_t)l->text, l->size);
}

/* The end of the line at a place. */
static size_t end_of(const struct lines *l, size_t at)
{
	const char *newline = memchr(l->text + at, '\n', l->size - at);

	return newline ? (size_t)(newline - l->text) : l->size;
}

/* Lines that are damaged, or stand for erased ones, leave what is around them in doubt. */
static int note_damage(struct lease_days *d, size_t i)
{
	struct lines l __attribute__((cleanup(unmap_day)));
	char hash[HASH_TEXT] = HASH_NONE;
	int r = map_day(d, i, &l);

	for (size_t at = 0, end; at < l.size && !r; at = end + 1) {
		bool wrong;

		end = end_of(&l, at);
		wrong = chain_check(l.text + at, end - at, hash, hash) && at >= d->day[i].extent.unchained;
		if (wrong || chain_erased(l.text + at, end - at))
			r = lease_days_note(d, i, at);
	}
	return r;
}

/* A line that only an agent writes: `mark`, which names nobody, or `begin`. */
static int note_live(struct lease_days *d, size_t i)
{
	struct lines l __attribute__((cleanup(unmap_day)));
	int r = map_day(d, i, &l);
	const char *found = r || !l.size ? NULL : memmem(l.text, l.size, "\"event\":\"mark\"", 14);
	const char *before;

	if (!r && !found && l.size)
		found = memmem(l.text, l.size, "\"event\":\"begin\"", 15);
	if (r || !found)
		return r;
	before = memrchr(l.text, '\n', (size_t)(found - l.text));
	return lease_days_note(d, i, before ? (uint64_t)(before + 1 - l.text) : 0);
}

int lease_places_order(const void *pa, const void *pb)
{
	const struct lease_place *a = pa, *b = pb;

	if (a->day != b->day)
		return a->day < b->day ? -1 : 1;
	return (a->at > b->at) - (a->at < b->at);
}

int lease_evidence_lines(struct lease_days *d, struct lease_place **ret, size_t *ret_n, struct error *err)
{
	size_t n = 0;
	int r = 0;

	for (size_t i = 0; i < d->names.n && !r; i++) {
		const struct lease_day *day = &d->day[i];
		bool apart = i && day[-1].ready && day->ready && day[-1].begin + DAY_S < day->begin;

		r = day->ready && day->n_doubtful ? note_damage(d, i) : 0;
		r = !r && apart && day[-1].extent.live && day->extent.live ? note_live(d, i - 1) : r;
		r = !r && apart && day[-1].extent.live && day->extent.live ? note_live(d, i) : r;
		if (r)
			return lease_day_failed(day, r, err);
	}
	if (d->n_used)
		qsort(d->used, d->n_used, sizeof(*d->used), lease_places_order);
	*ret = calloc(d->n_used + 1, sizeof(**ret));
	if (!*ret)
		return error_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < d->n_used; i++)
		if (!i || lease_places_order(&d->used[i - 1], &d->used[i]))
			(*ret)[n++] = d->used[i];
	*ret_n = n;
	return 0;
}

/* ---- Writing */

/* A day's lines, of which some are written. */
struct writing {
	FILE *out;
	const struct lease_day *day;
	struct lines lines;
	uint64_t line;	      /* number of the next */
	char hash[HASH_TEXT]; /* of the one before */
};

static void begin_entry(const struct writing *w)
{
	fprintf(w->out, "{\"file\":\"%s\",\"previous\":\"%s\",\"line\":", w->day->name, w->hash);
}

static int64_t time_of(const char *line, size_t size)
{
	struct lease_line l;

	return chain_erased(line, size) || lease_line_read(line, size, &l, NULL) ? TIME_NONE : l.time;
}

/* The line that ends where another begins. */
static size_t last_before(const struct lines *l, size_t end)
{
	const char *newline = end ? memrchr(l->text, '\n', end - 1) : NULL;

	return newline ? (size_t)(newline + 1 - l->text) : 0;
}

/* The times of the first and the last line of a run that can be read. */
static void find_times(const struct writing *w, size_t from, size_t to, struct withheld *ret)
{
	for (size_t at = from, end; at < to && ret->from == TIME_NONE; at = end + 1) {
		end = end_of(&w->lines, at);
		ret->from = time_of(w->lines.text + at, end - at);
	}
	for (size_t end = to, at; ret->from != TIME_NONE && ret->to == TIME_NONE; end = at) {
		at = last_before(&w->lines, end);
		ret->to = time_of(w->lines.text + at, end - 1 - at);
	}
}

/* The number of the line at a place, as it says itself: of a damaged file, lines may be missing. */
static uint64_t number_at(const struct writing *w, size_t at)
{
	uint64_t number = chain_number(w->lines.text + at, end_of(&w->lines, at) - at);

	return number ? number : w->line;
}

/* By their own numbers; those that have none are counted, of which there are few. */
static uint64_t count_lines(const struct writing *w, size_t from, size_t to)
{
	size_t at = last_before(&w->lines, to);
	uint64_t first = chain_number(w->lines.text + from, end_of(&w->lines, from) - from);
	uint64_t last = chain_number(w->lines.text + at, end_of(&w->lines, at) - at), n = 0;

	if (first && last >= first)
		return last - first + 1;
	for (; from < to; from = end_of(&w->lines, from) + 1)
		n++;
	return n;
}

/* The lines from one place to another. */
static void withhold(struct writing *w, size_t from, size_t to)
{
	struct withheld run = { .from = TIME_NONE, .to = TIME_NONE, .hash = HASH_NONE };
	char hash[HASH_TEXT];
	size_t last;

	if (from == to)
		return;
	last = last_before(&w->lines, to);
	run.line = number_at(w, from);
	run.lines = count_lines(w, from, to);
	if (chain_check(w->lines.text + last, end_of(&w->lines, last) - last, HASH_NONE, hash) != -EINVAL)
		memcpy(run.hash, hash, HASH_TEXT);
	find_times(w, from, to, &run);
	begin_entry(w);
	withheld_write(w->out, &run);
	fputs("}\n", w->out);
	memcpy(w->hash, run.hash, HASH_TEXT);
	w->line = run.line + run.lines;
}

/* The server stays: its restart ends the sessions of all. */
static void mask_names(struct lease_line *l, const struct lease_place *p)
{
	size_t server = strcspn(l->session, "/");

	if (*l->session && l->session[server])
		snprintf(l->session + server, sizeof(l->session) - server, "/withheld-%" PRIu32, p->session);
	else if (*l->session)
		snprintf(l->session, sizeof(l->session), "withheld-%" PRIu32, p->session);
	snprintf(l->id, sizeof(l->id), "withheld-%" PRIu32, p->customer);
	*l->mac = *l->circuit = '\0';
}

/* What a line says without names, or that it is damaged. 0 or -ENOMEM. */
static int withhold_names(struct writing *w, const struct lease_place *p, size_t end, const char *hash, bool damaged)
{
	struct withheld one = {
		.line = number_at(w, p->at), .lines = 1, .from = TIME_NONE, .to = TIME_NONE, .damaged = damaged
	};
	_cleanup_free_ char *says = NULL;
	struct lease_line l;

	memcpy(one.hash, hash, HASH_TEXT);
	if (!damaged && !lease_line_read(w->lines.text + p->at, end - p->at, &l, NULL)) {
		mask_names(&l, p);
		says = lease_line_text(&l, &one.says_size);
		if (!says)
			return -ENOMEM;
		one.says = says;
	}
	begin_entry(w);
	withheld_write(w->out, &one);
	fputs("}\n", w->out);
	return 0;
}

static int show(struct writing *w, const struct lease_place *p, size_t *ret_end)
{
	size_t end = end_of(&w->lines, p->at);
	char hash[HASH_TEXT] = HASH_NONE;
	int check = chain_check(w->lines.text + p->at, end - p->at, w->hash, hash), r = 0;
	uint64_t number = number_at(w, p->at);
	bool damaged = check && p->at >= w->day->extent.unchained && !chain_erased(w->lines.text + p->at, end - p->at);

	if (p->customer || damaged) {
		r = withhold_names(w, p, end, hash, damaged);
	} else {
		begin_entry(w);
		fwrite(w->lines.text + p->at, 1, end - p->at, w->out);
		fputs("}\n", w->out);
	}
	if (check != -EINVAL)
		memcpy(w->hash, hash, HASH_TEXT);
	w->line = number + 1;
	*ret_end = end + 1;
	return r;
}

static int write_shown(struct lease_days *d, size_t i, const struct lease_place *place, size_t n, FILE *out)
{
	struct writing w = { .out = out, .day = &d->day[i], .line = 1, .hash = HASH_NONE };
	int r = map_day(d, i, &w.lines);
	size_t at = 0;

	for (size_t k = 0; k < n && !r; k++) {
		if (place[k].at < at || place[k].at >= w.lines.size)
			return -ESTALE;
		withhold(&w, at, place[k].at);
		r = show(&w, &place[k], &at);
	}
	if (!r && at < w.lines.size)
		withhold(&w, at, w.lines.size);
	unmap_day(&w.lines);
	return r;
}

/* The end of a day of which nothing is shown, of one that was not read by its last lines. */
static int find_end(const struct lease_days *d, const struct lease_day *day, struct withheld *ret)
{
	struct chain c;
	int r;

	*ret = (struct withheld){ .line = 1, .from = TIME_NONE, .to = TIME_NONE };
	if (day->ready) {
		ret->lines = day->extent.end.line;
		ret->from = day->extent.first == TIME_OPEN ? TIME_NONE : day->extent.first;
		ret->to = day->extent.last;
		memcpy(ret->hash, day->extent.end.hash, HASH_TEXT);
		return 0;
	}
	r = chain_open(d->dir, day->name, O_RDONLY, &c);
	if (r)
		return r;
	r = chain_find_tip(&c);
	ret->lines = c.tip.line;
	memcpy(ret->hash, c.tip.hash, HASH_TEXT);
	chain_close(&c);
	return r ? r : lease_days_last(d, day, &ret->to);
}

static int write_day(struct lease_days *d, size_t i, const struct lease_place *place, size_t n, FILE *out,
		     int64_t *ret_last)
{
	struct withheld whole;
	int r = find_end(d, &d->day[i], &whole);

	*ret_last = r ? TIME_NONE : whole.to;
	if (r || n)
		return r ? r : write_shown(d, i, place, n, out);
	if (!whole.lines)
		return 0;
	fprintf(out, "{\"file\":\"%s\",\"previous\":\"" HASH_NONE "\",\"line\":", d->day[i].name);
	withheld_write(out, &whole);
	fputs("}\n", out);
	return 0;
}

/* From the day of the first second, or of the first line, on: until the record is beyond the last second. */
int lease_evidence_write(struct lease_days *d, const struct lease_place *place, size_t n, int64_t from, int64_t to,
			 bool all, FILE *out, struct error *err)
{
	size_t first = 0, k = 0;
	int64_t last = TIME_NONE;
	int r = 0;

	while (!all && first + 1 < d->names.n && d->day[first + 1].begin <= from)
		first++;
	if (n && place[0].day < first)
		first = place[0].day;
	for (size_t i = first; i < d->names.n && !r && (all || k < n || last <= to); i++) {
		size_t begin = k;

		while (k < n && place[k].day == i)
			k++;
		r = write_day(d, i, place + begin, k - begin, out, &last);
		r = r ? lease_day_failed(&d->day[i], r, err) : 0;
	}
	return r;
}
