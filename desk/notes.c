// SPDX-License-Identifier: BSD-2-Clause
#include "notes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/query_ledger.h"
#include "base/user_groups.h"
#include "refusals.h"
#include "state_dir.h"

void note_in_journal(const struct call *call, const struct note *n)
{
	log_audit("%s asks %s%s%s, case %s, reason %s: %u%s%s", call->whom, n->kind, n->question ? " " : "",
		  n->question ? n->question : "", n->case_id ? n->case_id : "none", n->reason ? n->reason : "none",
		  n->status, n->refused ? ", " : "", n->refused ? n->refused : "");
}

/* The user that the desk runs as, and where lines are kept; NULL with err while that is not known. */
static const char *begin(const struct ask_at *at, char room[static PATH_MAX], char user[static ACCOUNT_NAME],
			 struct query *q, struct error *err)
{
	const char *dir = at->queries ? at->queries : state_dir_known(at, room);

	q->via = "desk";
	q->uid = getuid();
	q->user = user;
	if (account_name(q->uid, user))
		snprintf(user, ACCOUNT_NAME, "unknown");
	if (!dir)
		error_set(err, 0, "it is not known yet where queries are noted; try again in some seconds");
	return dir;
}

static int ended(int r, const struct error *why, struct error *err)
{
	return r ? error_set(err, r, "%.420s; mend that, or name another directory with --queries DIR", why->text) : 0;
}

int note_in_ledger(struct call *call, const struct note *n, struct error *err)
{
	char user[ACCOUNT_NAME];
	struct query q = { .for_whom = call->whom,
			   .kind = n->kind,
			   .case_id = n->case_id,
			   .reason = n->reason,
			   .question = n->question,
			   .refused = n->refused };
	const char *dir = begin(call->at, call->dir, user, &q, err);
	struct error why;

	return dir ? ended(query_note(dir, &q, time(NULL), &why), &why, err) : -ENOENT;
}

/* ---- Refusals */

/* Lines of an hour that is over. */
struct counted {
	FILE *out;
	struct query q;
	int64_t now;
};

static void count_line(void *arg, const struct refusals_more *m)
{
	struct counted *c = arg;
	struct query q = c->q;
	struct error err;

	log_audit("%s was refused %s %" PRIu64 " more times in an hour: %s", m->whom, m->kind, m->times, m->why);
	q.for_whom = m->whom;
	q.kind = m->kind;
	q.refused = m->why;
	q.times = m->times;
	if (m->ledger && c->out && query_write(c->out, &q, c->now, &err))
		log_warning("a number of refusals left no line in the ledger: %s", err.text);
}

void notes_count(const struct ask_at *at, bool all)
{
	_cleanup_free_ char *lines = NULL;
	char user[ACCOUNT_NAME], room[PATH_MAX];
	struct counted c = { .now = time(NULL) };
	struct error why, err = {};
	const char *dir = begin(at, room, user, &c.q, &err);
	size_t size = 0;

	c.out = dir ? open_memstream(&lines, &size) : NULL;
	refusals_take(c.now, all, count_line, &c);
	if (c.out && !fclose(c.out) && size && ended(query_append(dir, lines, size, c.now, &why), &why, &err))
		log_warning("numbers of refusals left no line in the ledger: %s", err.text);
}

void note_refused(struct call *call, const struct note *n, const char *what, bool ledger)
{
	struct refusal_of r = { .whom = call->whom,
				.known = call->named,
				.kind = n->kind,
				.what = what,
				.why = n->refused,
				.ledger = ledger };
	struct error err;

	if (!refusals_first(&r, time(NULL)))
		return;
	note_in_journal(call, n);
	if (ledger && note_in_ledger(call, n, &err))
		log_warning("a refusal left no line in the ledger: %s", err.text);
	notes_count(call->at, false);
}

/* Whether a path asks about persons. */
static bool is_about_persons(const char *path)
{
	static const char *const about[] = { "/api/who", "/api/evidence", "/api/customer", "/api/subscriber/",
					     "/api/explain/" };

	for (unsigned i = 0; i < ARRAY_SIZE(about); i++)
		if (!strncmp(path, about[i], strlen(about[i])))
			return true;
	return false;
}

void note_refused_page(struct call *call, const char *place, const char *path, unsigned status, const char *why)
{
	const char *dir = state_dir_known(call->at, call->dir);
	struct note n = { .kind = "page", .question = path, .status = status, .refused = why };
	bool audited = dir && query_audited(dir, "history.head"), persons = is_about_persons(path);
	char what[REFUSAL_TEXT];

	if (!audited && !persons)
		return;
	/* Whoever was refused may ask for anything. */
	if (!place)
		n.question = "a page that is not there";
	if (!*call->user)
		call->whom = "nobody who is named";
	snprintf(what, sizeof(what), "%s %u", place ? place : "", status);
	note_refused(call, &n, what, audited || call->at->queries);
}
