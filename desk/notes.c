// SPDX-License-Identifier: BSD-2-Clause
#include "notes.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limiter.h"
#include "base/log.h"
#include "base/query_ledger.h"
#include "base/user_groups.h"
#include "pages.h"
#include "state_dir.h"

#define WHOM_UNKNOWN "a program without a valid token"
/* Refusals of persons that are noted in an hour. */
#define REFUSALS 256U

void note_in_journal(const struct call *call, const struct note *n)
{
	log_audit("%s asks %s%s%s, case %s, reason %s: %u%s%s", call->whom ? call->whom : WHOM_UNKNOWN, n->kind,
		  n->question ? " " : "", n->question ? n->question : "", n->case_id ? n->case_id : "none",
		  n->reason ? n->reason : "none", n->status, n->refused ? ", " : "", n->refused ? n->refused : "");
}

int note_in_ledger(struct call *call, const struct note *n, struct error *err)
{
	const char *dir = call->at->queries ? call->at->queries : state_dir_known(call->at, call->dir);
	char user[ACCOUNT_NAME];
	struct query q = { .user = user,
			   .uid = getuid(),
			   .for_whom = call->whom ? call->whom : WHOM_UNKNOWN,
			   .via = "desk",
			   .kind = n->kind,
			   .case_id = n->case_id,
			   .reason = n->reason,
			   .question = n->question,
			   .refused = n->refused };
	struct error why;
	int r;

	if (account_name(q.uid, user))
		snprintf(user, sizeof(user), "unknown");
	if (!dir)
		return error_set(err, -ENOENT,
				 "it is not known yet where queries are noted; try again in some seconds");
	r = query_note(dir, &q, time(NULL), &why);
	return r ? error_set(err, r, "%.420s; mend that, or name another directory with --queries DIR", why.text) : 0;
}

static bool is_first(const char *whom, const char *page)
{
	static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	static struct query_hour hour;
	char text[USER_NAME_MAX + PATH_MAX];
	bool first;

	snprintf(text, sizeof(text), "%s %s", whom, page);
	pthread_mutex_lock(&mutex);
	first = !query_seen(&hour, text, time(NULL)) && query_remember(&hour, text, time(NULL));
	pthread_mutex_unlock(&mutex);
	return first;
}

void note_refused_page(struct call *call, const char *path, unsigned status, const char *why)
{
	const char *dir = state_dir_known(call->at, call->dir), *rest;
	struct note n = { .kind = "page", .question = path, .status = status, .refused = why };
	struct error err;

	if (!dir || !query_audited(dir, "history.head"))
		return;
	/* Whoever was refused may ask for anything. */
	if (!route_find(path, &rest))
		n.question = "a page that is not there";
	call->whom = *call->user ? call->user : "nobody who is named";
	if (!is_first(call->whom, n.question))
		return;
	note_in_journal(call, &n);
	if (note_in_ledger(call, &n, &err))
		log_error("%s", err.text);
}

static bool is_due(const struct call *call, const char *path, unsigned status)
{
	static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	static struct limiter_place places[REFUSALS];
	bool due;

	pthread_mutex_lock(&mutex);
	due = limiter_ask(places, REFUSALS,
			  HASH_OF(hash_octets(call->whom, strlen(call->whom)), hash_octets(path, strlen(path)), status),
			  clock_ns(CLOCK_MONOTONIC), 3600 * NS_PER_S) == LIMITER_GO;
	pthread_mutex_unlock(&mutex);
	return due;
}

void note_refused_person(struct call *call, const char *path, unsigned status, const char *why)
{
	struct note n = { .kind = path, .status = status, .refused = why };
	struct error err;

	if (!is_due(call, path, status))
		return;
	note_in_journal(call, &n);
	if (call->at->queries && note_in_ledger(call, &n, &err))
		log_warning("a refusal left no line in the ledger: %s", err.text);
}
