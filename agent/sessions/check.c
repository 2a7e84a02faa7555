/* SPDX-License-Identifier: BSD-2-Clause */
/* Runs the check through all tables, in slices. */
#include "sessions/check.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <detnat/binding.h>

#include "base/log.h"
#include "sessions/check_private.h"

static void wait_for_programs(void *arg)
{
	datapath_grace_period(arg);
}

/* Whether a grace period that began after the previous call has ended. */
static bool grace_over(struct table_check *c)
{
	if (!c->in_grace) {
		background_start(&c->grace, wait_for_programs, mappings_datapath(c->m));
		c->in_grace = true;
	}
	if (background_busy(&c->grace))
		return false;
	c->in_grace = false;
	return true;
}

static int visit_subscriber(struct subscriber_iterator *it, void *arg)
{
	struct table_check *c = arg;
	struct examination e;
	bool left;

	if (c->n_suspects == SUSPECTS_MAX)
		return 1;
	examine(it, &e);
	left = check_extent(c, it);
	c->figures.subscribers++;
	c->figures.slots += subscriber_slots(it);
	c->figures.sessions += e.n_sessions - e.beyond;
	c->figures.beyond += e.beyond;
	c->figures.bindings += e.n_bindings;
	it->cost +=
		e.n_sessions * BUCKET_SLOTS + it->map->geo.ports_per_host * binding_count(it->map->bindings.mapping);
	if (left || examination_suspicious(&e))
		c->suspect[c->n_suspects++] =
			(struct suspect){ .in_addr = it->in_addr, .number = it->number, .first = e };
	else if (c->repair)
		examination_tidy(it, &e);
	return 0;
}

/* Examines the suspects again; those that have changed stay in the list. */
static void look_again(struct table_check *c)
{
	while (c->n_looked < c->n_suspects && monotonic_us() < c->deadline_us) {
		struct suspect *s = &c->suspect[c->n_looked];
		struct subscriber_iterator it;
		struct examination now;

		c->figures.looked_again++;
		if (check_find(c, &it, s->number, s->in_addr)) {
			*s = c->suspect[--c->n_suspects]; /* its mapping is gone */
			continue;
		}
		examine(&it, &now);
		if (!examination_suspicious(&now) || suspect_settle(c, s, &it, &now)) {
			if (c->repair)
				examination_tidy(&it, &now);
			*s = c->suspect[--c->n_suspects];
			continue;
		}
		s->first = now;
		if (++s->tries < TRIES_MAX) {
			c->n_looked++;
			continue;
		}
		c->figures.unsettled++;
		*s = c->suspect[--c->n_suspects];
	}
}

static int step_subscribers(struct table_check *c)
{
	if (!c->walked)
		c->walked = !subscriber_iterate(&c->it, c->deadline_us, visit_subscriber, c);
	if (c->n_suspects && (c->walked || c->n_suspects == SUSPECTS_MAX)) {
		c->n_looked = 0;
		c->phase = PHASE_SUSPECTS_GRACE;
	} else if (c->walked) {
		c->phase = PHASE_DONE;
	}
	return TABLE_CHECK_MORE;
}

static int step_suspects(struct table_check *c)
{
	if (!c->n_looked && !grace_over(c))
		return TABLE_CHECK_WAITS;
	look_again(c);
	if (c->n_looked < c->n_suspects)
		return TABLE_CHECK_MORE;
	c->n_looked = 0;
	if (!c->n_suspects)
		c->phase = PHASE_SUBSCRIBERS;
	return TABLE_CHECK_MORE;
}

static int step(struct table_check *c)
{
	switch (c->phase) {
	case PHASE_MAPPINGS:
		check_mappings(c);
		subscriber_iterator_init(&c->it, c->m);
		c->phase = PHASE_SUBSCRIBERS;
		return TABLE_CHECK_MORE;
	case PHASE_SUBSCRIBERS:
		return step_subscribers(c);
	case PHASE_SUSPECTS_GRACE:
		return step_suspects(c);
	default:
		return TABLE_CHECK_DONE;
	}
}

int table_check_step(struct table_check *c, unsigned budget_us)
{
	int r;

	c->deadline_us = monotonic_us() + budget_us;
	do
		r = step(c);
	while (r == TABLE_CHECK_MORE && monotonic_us() < c->deadline_us);
	return r;
}

int table_check_new(struct mappings *m, bool repair, struct findings *findings, struct table_check **ret)
{
	struct table_check *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->m = m;
	c->repair = repair;
	c->findings = findings;
	*ret = c;
	return 0;
}

const struct check_figures *table_check_figures(const struct table_check *c)
{
	return &c->figures;
}

void table_check_free(struct table_check *c)
{
	if (!c)
		return;
	background_wait(&c->grace);
	free(c->claims);
	free(c);
}

void table_check_now(struct mappings *m)
{
	struct findings findings = { 0 };
	struct table_check *check;
	int r = table_check_new(m, true, &findings, &check);

	if (r) {
		log_warning("no memory to compare the tables");
		return;
	}
	while ((r = table_check_step(check, 100000)) > 0)
		if (r == TABLE_CHECK_WAITS)
			usleep(1000);
	table_check_free(check);
	findings_free(&findings);
}
