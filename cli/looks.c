// SPDX-License-Identifier: BSD-2-Clause
#include "looks.h"

#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "json_get.h"

/* The user, who became him by sudo, and for whom he asks: only the desk asks for others. */
static void set_user(struct looks *l, const cJSON *args)
{
	const struct passwd *user = getpwuid(getuid());

	snprintf(l->user, sizeof(l->user), "%s", user ? user->pw_name : "unknown");
	l->query.user = l->user;
	l->query.uid = getuid();
	l->query.sudo_user = getenv("SUDO_USER");
	l->query.for_whom = json_text(args, "for", NULL);
	l->query.via = l->query.for_whom ? "desk" : "command";
}

void looks_init(struct looks *l, const char *kind, const cJSON *args, const char *dir)
{
	*l = (struct looks){ .dir = json_text(args, "queries", dir), .now = time(NULL) };
	l->query.kind = kind;
	l->query.case_id = json_text(args, "case", NULL);
	l->query.reason = json_text(args, "reason", NULL);
	set_user(l, args);
}

void looks_begin(struct looks *l, const char *kind, const cJSON *args, const struct history_files *f, const char *dir)
{
	looks_init(l, kind, args, dir);
	l->wanted = f->head.audit_queries || l->query.case_id || l->query.reason;
}

static void add(struct looks *l, const struct query *q)
{
	if (l->r)
		return;
	if (!l->out)
		l->out = open_memstream(&l->lines, &l->size);
	l->r = l->out ? query_write(l->out, q, l->now, &l->why) : error_set(&l->why, -ENOMEM, "out of memory");
}

void looks_add_text(struct looks *l, const char *question)
{
	struct query q;

	if (!l || !l->wanted)
		return;
	q = l->query;
	q.question = question;
	add(l, &q);
}

static void add_endpoint(struct looks *l, const char *endpoint, int64_t t)
{
	struct query q = l->query;
	char when[TIME_TEXT];

	q.endpoint = endpoint;
	q.at = time_format(t, when);
	add(l, &q);
}

void looks_add(struct looks *l, struct endpoint out, int64_t t)
{
	char endpoint[ADDR_TEXT + 8], addr[ADDR_TEXT];

	if (!l || !l->wanted)
		return;
	snprintf(endpoint, sizeof(endpoint), "%s:%u", addr_format(out.addr, addr), out.port);
	add_endpoint(l, endpoint, t);
}

void looks_free(struct looks *l)
{
	if (l->out)
		fclose(l->out);
	l->out = NULL;
	free(take_pointer(l->lines));
}

int looks_write(struct looks *l, struct error *err)
{
	int r = l->r;

	if (r)
		error_set(err, r, "%s", l->why.text);
	else if (l->out && fflush(l->out))
		r = error_set(err, -ENOMEM, "out of memory");
	else if (l->out && l->size && (r = query_append(l->dir, l->lines, l->size, l->now, &l->why)))
		error_set(err, r, "%.420s; mend that, or name another directory with --queries DIR", l->why.text);
	looks_free(l);
	return r ? EXIT_REFUSED : EXIT_DONE;
}

int looks_note(struct looks *l, const char *endpoint, int64_t t, struct error *err)
{
	if (!l->wanted)
		return EXIT_DONE;
	add_endpoint(l, endpoint, t);
	return looks_write(l, err);
}
