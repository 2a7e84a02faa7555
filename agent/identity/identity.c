/* SPDX-License-Identifier: BSD-2-Clause */
#include "identity/identity.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/background.h"
#include "base/log.h"
#include "base/notice.h"
#include "base/trouble.h"
#include "host/timer.h"
#include "identity/identity_worker.h"
#include "identity/recorded_sources.h"
#include "identity/request_spool.h"

/* Time limit for the disk at the end. */
#define END_PATIENCE_US (10 * 1000000ULL)
#define STACK_SIZE	(512U << 10)

struct identity {
	struct identity_shared shared;
	pthread_t thread;
	atomic_bool ended;		 /* the thread */
	struct identity_means *prepared; /* NULL: nothing is */
	struct config_leases rules;	 /* in force */
	bool allowed;			 /* to have a thread */
	bool wanted;			 /* a thread */
	bool started;			 /* it is there */
	struct event *timer;
};

static void wake(struct identity *x)
{
	const uint64_t one = 1;

	if (write(x->shared.wake, &one, sizeof(one)) < 0)
		log_error("leases: their thread cannot be woken: %s", strerror(errno));
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

static void *run(void *arg)
{
	struct identity *x = arg;

	identity_work(&x->shared);
	atomic_store(&x->ended, true);
	return NULL;
}

/* Without memory for the thread, it is tried again. */
static void start_if_wanted(struct identity *x)
{
	if (x->allowed && x->wanted && !x->started)
		x->started = !thread_start(&x->thread, STACK_SIZE, run, x);
}

void identity_run(struct identity *x)
{
	x->allowed = true;
	start_if_wanted(x);
}

static void on_second(evutil_socket_t fd, short what, void *arg)
{
	struct identity *x = arg;
	char text[TROUBLE_TEXT];
	struct chain_tip tip;
	unsigned removed;
	bool day;

	start_if_wanted(x);
	pthread_mutex_lock(&x->shared.lock);
	memcpy(text, x->shared.trouble, sizeof(text));
	day = x->shared.tell_day;
	tip = x->shared.tip;
	removed = x->shared.removed;
	x->shared.tell_day = false;
	pthread_mutex_unlock(&x->shared.lock);
	if (x->allowed && x->wanted && !x->started)
		trouble_set(TROUBLE_LEASES, "there is no memory for the thread that records leases");
	else if (*text)
		trouble_set(TROUBLE_LEASES, "%s", text);
	else
		trouble_clear(TROUBLE_LEASES);
	if (day)
		tell_day(&tip, removed);
}

int identity_new(struct event_base *base, struct identity **ret)
{
	struct identity *x = calloc(1, sizeof(*x));

	if (!x)
		return -ENOMEM;
	pthread_mutex_init(&x->shared.lock, NULL);
	x->shared.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	x->timer = timer_each_second(base, on_second, x);
	if (x->shared.wake < 0 || !x->timer) {
		identity_free(x);
		return -ENOMEM;
	}
	*ret = x;
	return 0;
}

/* A disk that does not come to an end is left to the process's end. */
static bool end_thread(struct identity *x)
{
	uint64_t until = monotonic_us() + END_PATIENCE_US;

	if (!x->started)
		return true;
	pthread_mutex_lock(&x->shared.lock);
	x->shared.end = true;
	pthread_mutex_unlock(&x->shared.lock);
	wake(x);
	while (!atomic_load(&x->ended) && monotonic_us() < until)
		usleep(1000);
	if (atomic_load(&x->ended))
		return !pthread_join(x->thread, NULL);
	log_error("leases: the disk takes too long; what waits for it is lost");
	return false;
}

void identity_free(struct identity *x)
{
	if (!x)
		return;
	if (x->timer)
		event_free(x->timer);
	identity_abandon(x);
	if (!end_thread(x))
		return;
	if (x->shared.figures.forward_waiting)
		log_warning("leases: %llu requests were not forwarded, as the further server has not answered",
			    (unsigned long long)x->shared.figures.forward_waiting);
	identity_means_free(x->shared.next);
	close_fd(&x->shared.wake);
	pthread_mutex_destroy(&x->shared.lock);
	free(x);
}

/* Messages name the source by its place. */
static int refuse(const struct config *c, uint32_t n, const char *key, const char *name, int r, const struct error *why,
		  struct error *err)
{
	char path[40];

	snprintf(path, sizeof(path), "leases[%u].%s", n, key);
	return config_refuse(err, r, name, config_line(c, path), path, "%s", why->text);
}

/* at_start: what is missing is left to the thread, which tries again. */
static int make_means(const struct config *c, const struct config_leases *running, bool at_start, const char *name,
		      struct identity_means **ret, struct error *err)
{
	struct identity_means *m = calloc(1, sizeof(*m));
	int r = 0;

	if (!m || !(m->dir = strdup(c->state_dir))) {
		free(m);
		return error_set(err, -ENOMEM, "out of memory");
	}
	m->rules = c->leases;
	memset(m->fd, -1, sizeof(m->fd));
	for (uint32_t i = 0; !r && i < m->rules.n; i++) {
		struct error why = { 0 };
		const char *key = "";

		r = identity_means_source(m, i, running, &key, &why);
		if (r && at_start)
			r = 0;
		if (r)
			refuse(c, i, key, name, r, &why, err);
	}
	if (r)
		identity_means_free(m);
	else
		*ret = m;
	return r;
}

int identity_prepare(struct identity *x, const struct config *c, bool at_start, const char *name, struct error *err)
{
	identity_abandon(x);
	return make_means(c, &x->rules, at_start, name, &x->prepared, err);
}

void identity_abandon(struct identity *x)
{
	identity_means_free(take_pointer(x->prepared));
}

void identity_settle(struct identity *x)
{
	struct identity_means *m = take_pointer(x->prepared);

	if (!m)
		return;
	x->rules = m->rules;
	if (!x->wanted && !m->rules.n && !m->rules.retention) {
		identity_means_free(m);
		return;
	}
	pthread_mutex_lock(&x->shared.lock);
	identity_means_free(x->shared.next);
	x->shared.next = m;
	pthread_mutex_unlock(&x->shared.lock);
	x->wanted = true;
	start_if_wanted(x);
	if (x->started)
		wake(x);
}

int identity_check(const struct config *c, const struct config *running, const char *name, struct error *err)
{
	struct identity_means *m = NULL;
	int r = make_means(c, running ? &running->leases : NULL, false, name, &m, err);

	identity_means_free(m);
	return r;
}

bool identity_file_named(const char *name)
{
	return lease_file_named(name) || !strcmp(name, RECORDED_SOURCES_FILE) ||
	       !strncmp(name, SPOOL_PREFIX, strlen(SPOOL_PREFIX));
}

bool identity_figures(struct identity *x, struct identity_figures *ret)
{
	if (!x->started)
		return false;
	pthread_mutex_lock(&x->shared.lock);
	*ret = x->shared.figures;
	pthread_mutex_unlock(&x->shared.lock);
	return true;
}
