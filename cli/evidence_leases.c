// SPDX-License-Identifier: BSD-2-Clause
/* The lines of leases that decide an answer. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/json_scan.h"
#include "base/whole_file.h"
#include "customer.h"
#include "evidence_decides.h"
#include "json_get.h"

struct choice {
	const struct evidence_question *q;
	struct lease_days *d;
	int64_t from, to;
	struct lease_place *place;
	size_t n;
	bool *keep;
	bool all; /* all days are named */
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
	const char *in_addr = json_text(json, "in_addr", NULL);
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

/* Lines about customers whom the answer does not name are shown without names. */
static int mask(struct choice *c, const cJSON *answer)
{
	struct names customers = { 0 }, sessions = { 0 };
	int r = 0;

	for (size_t i = 0; i < c->n && !r; i++) {
		struct lease_place *p = &c->place[i];
		struct lease_line l;

		if (lease_evidence_line(c->d, p, &l) || !lease_event_of_session(l.event) ||
		    has_text(answer, customer_in(&l)))
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
		if (c->place[i].customer)
			order[n++] = i;
	evidence_reduce(order, n, c->keep, is_enough, c);
	for (size_t i = 0; i < c->n; i++)
		if (!c->place[i].customer)
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
	r = ask_about(c, answer, all);
	r = r ? r : lease_evidence_lines(c->d, &c->place, &c->n, c->err);
	c->keep = r ? NULL : malloc(c->n + 1);
	if (!r && !c->keep)
		return error_set(c->err, -ENOMEM, "out of memory");
	if (r)
		return r;
	memset(c->keep, true, c->n);
	return mask(c, answer);
}

/* First what the question reads; then of all days; then all about the address, from which more may follow. */
static int choose(struct choice *c, const cJSON *answer)
{
	bool enough = false;
	int r = 0;

	for (unsigned step = 0; step < 3 && !r && !enough; step++) {
		c->all = step > 0;
		r = list(c, answer, step > 1);
		enough = !r && is_enough(c);
	}
	return r || !enough ? r : reduce(c);
}

int evidence_leases(const struct evidence_question *q, char **ret, size_t *ret_size, struct error *err)
{
	_cleanup_json_ cJSON *answer = cJSON_Parse(q->answer);
	int64_t margin = (int64_t)json_number(json_get(answer, "margin"), "seconds");
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
	return r;
}
