/* SPDX-License-Identifier: BSD-2-Clause */
#include "identity/identity.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/log.h"
#include "base/notice.h"
#include "base/trouble.h"
#include "host/timer.h"
#include "identity/lease_program.h"

/* For a reply, while the event loop stands still; and for the next report. */
#define REPLY_PATIENCE_US (3 * 1000000ULL)
#define SILENCE_US	  (15 * 1000000ULL)
/* After a failure, the program is sought again. */
#define RETRY_US (1 * 1000000ULL)

/* What a configuration says of leases. */
struct wanted {
	struct config_leases rules;
	char *dir;    /* state_dir; NULL: there are no rules */
	char *socket; /* where the service is, if it is installed */
};

struct identity {
	struct event_base *base;
	struct lease_program program;
	struct event *readable; /* NULL while there is no connection */
	struct event *timer;
	struct wanted now, next; /* in force, and prepared */
	bool allowed;		 /* to start the program */
	bool heard;		 /* there has been a report */
	struct lease_report report;
	uint64_t heard_us, sought_us;
	struct error missing; /* why there is no connection */
};

static void wanted_free(struct wanted *w)
{
	free(w->dir);
	free(w->socket);
	*w = (struct wanted){ 0 };
}

static int wanted_of(const struct config *c, struct wanted *ret)
{
	int directory = (int)(strrchr(c->control_socket, '/') - c->control_socket);
	struct wanted w = { .rules = c->leases, .dir = strdup(c->state_dir) };

	if (!w.dir || asprintf(&w.socket, "%.*s/" LEASES_SOCKET, directory, c->control_socket) < 0) {
		free(w.dir);
		return -ENOMEM;
	}
	*ret = w;
	return 0;
}

/* Without sources the program still removes old files. */
static bool is_wanted(const struct identity *x)
{
	return x->now.dir && (x->now.rules.n || x->now.rules.retention || x->program.fd >= 0);
}

/* The end of the ledger goes where others cannot change it: to the log, and with syslog to another machine. */
static void tell_day(const struct chain_tip *tip, unsigned removed)
{
	char text[NOTICE_TEXT];
	struct notice n;

	if (removed)
		log_info("leases: %u file%s older than lease_retention removed", removed, removed == 1 ? "" : "s");
	if (!tip->line)
		return;
	snprintf(text, sizeof(text), "the ledger of leases has %llu lines, the last with the hash %s",
		 (unsigned long long)tip->line, tip->hash);
	log_info("%s", text);
	n = notice_now(NOTICE_LEASES, LOG_LEVEL_INFO, "ledger", text);
	notice_add_number(&n, "line", tip->line);
	notice_add_text(&n, "hash", tip->hash);
	notice_add_number(&n, "removed", removed);
	notice_tell(&n);
}

static void disconnect(struct identity *x, int r)
{
	if (x->readable)
		event_free(take_pointer(x->readable));
	lease_program_close(&x->program);
	if (r == -EPROTO)
		error_set(&x->missing, r, "detnat-leases is of another version; `systemctl restart detnat-leases`");
	else if (r)
		error_set(&x->missing, r, "detnat-leases has ended");
}

static void take_state(struct identity *x, const struct lease_report *report)
{
	x->report = *report;
	x->heard = true;
	x->heard_us = monotonic_us();
	if (report->tell_day)
		tell_day(&report->tip, report->removed);
}

/* Takes what has come. 0; 1 if *ret is a reply, which ends it; or -errno: the connection is gone. */
static int hear(struct identity *x, struct lease_report *ret)
{
	int r;

	while (!(r = lease_program_hear(&x->program, ret))) {
		if (ret->kind == REPORT_REPLY)
			return 1;
		take_state(x, ret);
	}
	if (r == -EAGAIN)
		return 0;
	disconnect(x, r);
	return r;
}

static void tell_trouble(const struct identity *x)
{
	if (!is_wanted(x) || !x->allowed)
		trouble_clear(TROUBLE_LEASES);
	else if (x->program.fd < 0)
		trouble_set(TROUBLE_LEASES, "leases are not recorded: %s", x->missing.text);
	else if (monotonic_us() - x->heard_us > SILENCE_US)
		trouble_set(TROUBLE_LEASES, "detnat-leases has said nothing for %u seconds; its disk may be slow",
			    (unsigned)(SILENCE_US / 1000000));
	else if (x->heard && *x->report.text)
		trouble_set(TROUBLE_LEASES, "%s", x->report.text);
	else
		trouble_clear(TROUBLE_LEASES);
}

static void on_report(evutil_socket_t fd, short what, void *arg)
{
	struct identity *x = arg;
	struct lease_report report;

	/* A reply for which nobody waits any longer. */
	while (hear(x, &report) > 0)
		;
	tell_trouble(x);
}

static int watch(struct identity *x, struct error *err)
{
	x->readable = event_new(x->base, x->program.fd, EV_READ | EV_PERSIST, on_report, x);
	if (x->readable && !event_add(x->readable, NULL))
		return 0;
	return error_set(err, -ENOMEM, "out of memory");
}

static void seek(struct identity *x)
{
	uint64_t now_us = monotonic_us();
	int r;

	if (!x->allowed || !is_wanted(x) || x->program.fd >= 0 || (x->sought_us && now_us - x->sought_us < RETRY_US))
		return;
	x->sought_us = x->heard_us = now_us;
	r = lease_program_open(&x->program, x->now.socket, &x->missing);
	r = r ? r : watch(x, &x->missing);
	if (!r && (r = lease_program_tell(&x->program, ORDER_TAKE, x->now.dir, &x->now.rules)))
		error_set(&x->missing, r, "detnat-leases takes no orders: %s", strerror(-r));
	if (r)
		disconnect(x, 0);
}

/* Waits for a reply, or for what fits (NULL: a reply alone): 1; 0: it did not come in time; or -errno, without a
 * connection. */
static int wait_until(struct identity *x, bool (*fits)(const struct identity *x), struct lease_report *ret)
{
	uint64_t until = monotonic_us() + REPLY_PATIENCE_US;
	int r;

	while (!(r = hear(x, ret)) && !(fits && fits(x)) && monotonic_us() < until) {
		struct pollfd list = { .fd = x->program.fd, .events = POLLIN };

		if (poll(&list, 1, 100) < 0 && errno != EINTR)
			break;
	}
	return r;
}

static bool has_taken_over(const struct identity *x)
{
	return x->heard && x->report.figures.sources == x->now.rules.n;
}

void identity_run(struct identity *x)
{
	struct lease_report report;

	x->allowed = true;
	seek(x);
	/* Who is told that the agent is ready may send requests. */
	if (x->program.fd >= 0)
		wait_until(x, has_taken_over, &report);
}

static void on_second(evutil_socket_t fd, short what, void *arg)
{
	struct identity *x = arg;

	seek(x);
	tell_trouble(x);
}

int identity_new(struct event_base *base, struct identity **ret)
{
	struct identity *x = calloc(1, sizeof(*x));

	if (!x)
		return -ENOMEM;
	x->base = base;
	x->program.fd = -1;
	x->timer = timer_each_second(base, on_second, x);
	if (!x->timer) {
		identity_free(x);
		return -ENOMEM;
	}
	*ret = x;
	return 0;
}

void identity_free(struct identity *x)
{
	if (!x)
		return;
	if (x->timer)
		event_free(x->timer);
	disconnect(x, 0);
	wanted_free(&x->next);
	wanted_free(&x->now);
	free(x);
}

/* Messages name the source by its place. */
static int refuse(const struct config *c, const struct lease_place *at, const char *name, int r, const char *why,
		  struct error *err)
{
	char path[48];

	snprintf(path, sizeof(path), "leases[%u].%s", at->source, at->key);
	return config_refuse(err, r, name, config_line(c, path), path, "%s", why);
}

static int ask(struct identity *x, const struct config *c, const char *name, struct error *err)
{
	struct lease_report reply;
	int r;

	if (lease_program_tell(&x->program, ORDER_PREPARE, x->next.dir, &x->next.rules))
		return 0;
	/* Without a reply, what is wrong shows later as a trouble. */
	r = wait_until(x, NULL, &reply) == 1 ? reply.result : 0;
	return r ? refuse(c, &reply.place, name, r, reply.text, err) : 0;
}

static int check(const struct config *c, const struct config_leases *running, const char *name, struct error *err)
{
	struct lease_means *m = NULL;
	struct lease_place at;
	struct error why = { 0 };
	int r;

	if (!c->leases.n)
		return 0;
	r = lease_means_new(&c->leases, c->state_dir, running, false, &m, &at, &why);

	lease_means_free(m);
	/* The secret is the program's: the agent's user need not be able to read it. */
	if (!r || (r == -EACCES && geteuid() && strcmp(at.key, "listen") != 0))
		return 0;
	return refuse(c, &at, name, r, why.text, err);
}

int identity_check(const struct config *c, const struct config *running, const char *name, struct error *err)
{
	return check(c, running ? &running->leases : NULL, name, err);
}

int identity_prepare(struct identity *x, const struct config *c, bool at_start, const char *name, struct error *err)
{
	int r;

	identity_abandon(x);
	r = at_start || x->program.fd >= 0 ? 0 : check(c, &x->now.rules, name, err);
	if (!r && wanted_of(c, &x->next))
		r = error_set(err, -ENOMEM, "out of memory");
	if (!r && !at_start && x->program.fd >= 0)
		r = ask(x, c, name, err);
	if (r)
		wanted_free(&x->next);
	return r;
}

void identity_abandon(struct identity *x)
{
	if (x->next.dir && x->program.fd >= 0)
		lease_program_tell(&x->program, ORDER_ABANDON, x->next.dir, &x->next.rules);
	wanted_free(&x->next);
}

void identity_settle(struct identity *x)
{
	if (!x->next.dir)
		return;
	wanted_free(&x->now);
	x->now = x->next;
	x->next = (struct wanted){ 0 };
	if (x->program.fd >= 0)
		lease_program_tell(&x->program, ORDER_SETTLE, x->now.dir, &x->now.rules);
	x->sought_us = 0;
	seek(x);
}

bool identity_figures(struct identity *x, struct identity_figures *ret)
{
	if (!x->heard)
		return false;
	*ret = x->report.figures;
	return true;
}
