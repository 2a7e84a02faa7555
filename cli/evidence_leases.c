// SPDX-License-Identifier: BSD-2-Clause
/* The lines of leases that decide an answer. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "base/json_scan.h"
#include "base/whole_file.h"
#include "customer.h"
#include "evidence_decides.h"
#include "json_get.h"

/* Of whom a line is, and of when. */
struct origin {
	uint64_t owner; /* hash of the customer and the session; 0: it is of nobody */
	int64_t time;
	bool other; /* the answer does not name him */
};

struct choice {
	const struct evidence_question *q;
	struct lease_days *d;
	int64_t from, to;
	struct lease_place *place;
	size_t n;
	bool *keep;
	struct origin *origin; /* of each line */
	bool all;	       /* all days are named */
	struct error *err;
};

/* Texts that are withheld; a question has few. */
struct names {
	char **text;
	size_t n;
};

static void free_names(struct names *n)
{
	for (size_t i = 0; i < n->n; i++)
		free(n->text[i]);
	free(n->text);
}

/* ---- What the answer may follow from */

/* Asks again about each inside address that the answer has: the lines are noted. */
static int ask_about(struct choice *c, const cJSON *json, bool all)
{
	const char *in_addr = json_inside(json, NULL);
	struct lease_addr addr;
	struct statements *x = NULL;
	const cJSON *item;
	int r = 0;

	if (in_addr && !lease_addr_parse(in_addr, &addr)) {
		r = lease_days_about(c->d, &addr, NULL, c->from, c->to, &x, c->err);
		statements_free(x);
		r = !r && all ? lease_evidence_note_all(c->d, &addr, c->err) : r;
	}
	cJSON_ArrayForEach (item, json)
		if (!r && (cJSON_IsObject(item) || cJSON_IsArray(item)))
			r = ask_about(c, item, all);
	return r;
}

/* ---- Whether some of it is enough */

static int write_text(const struct choice *c, char **ret, size_t *ret_size)
{
	_cleanup_free_ struct lease_place *kept = calloc(c->n + 1, sizeof(*kept));
	FILE *out = kept ? open_memstream(ret, ret_size) : NULL;
	size_t n = 0;
	int r;

	if (!out)
		return error_set(c->err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < c->n; i++)
		if (c->keep[i])
			kept[n++] = c->place[i];
	r = lease_evidence_write(c->d, kept, n, c->from, c->to, c->all, out, c->err);
	if (fclose(out) && !r)
		r = error_set(c->err, -ENOMEM, "out of memory");
	return r;
}

static bool is_enough(void *arg)
{
	const struct choice *c = arg;
	_cleanup_close_ int fd = memfd_create("leases", MFD_CLOEXEC);
	_cleanup_free_ char *text = NULL;
	size_t size;

	return fd >= 0 && !write_text(c, &text, &size) && !file_write(fd, text, size, 0) &&
	       evidence_same_leases(c->q, fd);
}

/* Whether the answer has a text. */
static bool has_text(const cJSON *json, const char *text)
{
	const cJSON *item;

	if (cJSON_IsString(json))
		return !strcmp(json->valuestring, text);
	cJSON_ArrayForEach (item, json)
		if (has_text(item, text))
			return true;
	return false;
}

/* Who a line is of: without an id, the MAC counts, or else the session. */
static const char *customer_in(const struct lease_line *l)
{
	return *l->id ? l->id : *l->mac ? l->mac : l->session;
}

/* The number of a text, from 1, among those that had one so far. 0: no memory. */
static uint32_t number_of(struct names *n, const char *text)
{
	char **larger;

	for (size_t i = 0; i < n->n; i++)
		if (!strcmp(n->text[i], text))
			return (uint32_t)i + 1;
	larger = reallocarray(n->text, n->n + 1, sizeof(*n->text));
	if (!larger)
		return 0;
	n->text = larger;
	n->text[n->n] = strdup(text);
	return n->text[n->n] ? (uint32_t)++n->n : 0;
}

static int find_origins(struct choice *c, const cJSON *answer)
{
	_cleanup_lease_lines_ struct lease_lines lines = { .d = c->d };

	c->origin = calloc(c->n + 1, sizeof(*c->origin));
	if (!c->origin)
		return error_set(c->err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < c->n; i++) {
		struct origin *o = &c->origin[i];
		struct lease_line l;

		o->time = TIME_NONE;
		if (lease_evidence_line(&lines, &c->place[i], &l))
			continue;
		o->time = l.time;
		if (!lease_event_of_session(l.event))
			continue;
		o->owner = HASH_OF(hash_octets(customer_in(&l), strlen(customer_in(&l))),
				   hash_octets(l.session, strlen(l.session))) |
			   1;
		o->other = !has_text(answer, customer_in(&l));
	}
	return 0;
}

/* Of lines of one customer after each other: the first, the last, and those around the seconds that are asked about. */
static bool is_edge(const struct choice *c, size_t i)
{
	const struct origin *o = &c->origin[i];

	if (!i || i + 1 == c->n || !o->owner || o[-1].owner != o->owner || o[1].owner != o->owner)
		return true;
	return (o->time < c->from && o[1].time >= c->from) || (o->time > c->to && o[-1].time <= c->to);
}

/* Lines of customers whom the answer does not name are shown without names. */
static int mask(struct choice *c)
{
	_cleanup_lease_lines_ struct lease_lines lines = { .d = c->d };
	struct names customers = { 0 }, sessions = { 0 };
	int r = 0;

	for (size_t i = 0; i < c->n && !r; i++) {
		struct lease_place *p = &c->place[i];
		struct lease_line l;

		if (!c->keep[i] || !c->origin[i].other || lease_evidence_line(&lines, p, &l))
			continue;
		p->customer = number_of(&customers, customer_in(&l));
		p->session = number_of(&sessions, l.session);
		r = p->customer && p->session ? 0 : error_set(c->err, -ENOMEM, "out of memory");
	}
	free_names(&customers);
	free_names(&sessions);
	return r;
}

/* Those of others go first. */
static int reduce(struct choice *c)
{
	_cleanup_free_ size_t *order = calloc(c->n + 1, sizeof(*order));
	size_t n = 0;

	if (!order)
		return error_set(c->err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < c->n; i++)
		if (c->origin[i].other)
			order[n++] = i;
	evidence_reduce(order, n, c->keep, is_enough, c);
	for (size_t i = 0; i < c->n; i++)
		if (!c->origin[i].other)
			order[n++] = i;
	evidence_reduce(order, n, c->keep, is_enough, c);
	return 0;
}

/* ---- The text */

static int list(struct choice *c, const cJSON *answer, bool all)
{
	int r;

	free(take_pointer(c->place));
	free(take_pointer(c->keep));
	free(take_pointer(c->origin));
	r = ask_about(c, answer, all);
	r = r ? r : lease_evidence_lines(c->d, &c->place, &c->n, c->err);
	c->keep = r ? NULL : malloc(c->n + 1);
	if (!r && !c->keep)
		return error_set(c->err, -ENOMEM, "out of memory");
	return r ? r : find_origins(c, answer);
}

/* A few lines are enough as a rule, however many a session has. */
static bool keep_enough(struct choice *c)
{
	for (size_t i = 0; i < c->n; i++)
		c->keep[i] = is_edge(c, i);
	if (is_enough(c))
		return true;
	memset(c->keep, true, c->n);
	return is_enough(c);
}

/* Names go last, from the few lines that are left; where that is another answer, from all lines before. */
static int take_names(struct choice *c)
{
	int r = reduce(c);

	r = r ? r : mask(c);
	if (r || is_enough(c))
		return r;
	memset(c->keep, true, c->n);
	r = mask(c);
	return r ? r : reduce(c);
}

/* First what the question reads; then of all days; then all about the address, from which more may follow. */
static int choose(struct choice *c, const cJSON *answer)
{
	bool enough = false;
	int r = 0;

	for (unsigned step = 0; step < 3 && !r && !enough; step++) {
		c->all = step > 0;
		r = list(c, answer, step > 1);
		enough = !r && keep_enough(c);
	}
	if (r || enough)
		return r ? r : take_names(c);
	return mask(c);
}

int evidence_leases(const struct evidence_question *q, char **ret, size_t *ret_size, struct error *err)
{
	_cleanup_json_ cJSON *answer = cJSON_Parse(q->answer);
	int64_t margin = evidence_margin(answer);
	struct choice c = { .q = q, .from = q->t - margin, .to = q->t + margin, .err = err };
	int r = lease_days_open(q->leases, &c.d, err);

	if (r)
		return r;
	lease_evidence_begin(c.d);
	r = choose(&c, answer);
	r = r ? r : write_text(&c, ret, ret_size);
	lease_days_free(c.d);
	free(c.place);
	free(c.keep);
	free(c.origin);
	return r;
}
