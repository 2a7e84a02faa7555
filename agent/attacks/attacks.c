/* SPDX-License-Identifier: BSD-2-Clause */
#include "attacks/attacks.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "attacks/exec.h"
#include "attacks/rates.h"
#include "base/log.h"
#include "base/notice.h"

/* Addresses whose attacks are followed at a time, and programs that run at a time. */
#define MAX_ATTACKS 1024U
#define MAX_RUNS    8U

/* Between two lines of the log about addresses that are not followed. */
#define CROWDED_US 60000000ULL

struct attack {
	uint32_t addr;
	uint32_t rate;
	uint32_t peak;
	uint32_t place;	     /* of the address in the rates */
	uint64_t began_us;   /* CLOCK_MONOTONIC, as of the next one */
	uint64_t reached_us; /* when it was last as much as the threshold */
	bool run_due;
};

struct attacks {
	const struct mappings *mappings;
	struct event *timer;
	struct config_attack settings;
	struct rates rates;
	uint16_t *followed; /* by place in the rates: 1 + number in the list below; 0: no attack */
	struct attack attack[MAX_ATTACKS];
	unsigned n;
	struct exec_run *run[MAX_RUNS]; /* NULL: free */
	uint64_t looked_us;
	uint64_t crowded_us; /* when the log last said that there are too many */
	struct attack_figures figures;
};

/* Notices and log */

static void tell_begin(const struct attack *x)
{
	char addr[ADDR_TEXT], text[NOTICE_TEXT] = "";
	struct notice n = notice_now(NOTICE_ATTACKS, LOG_LEVEL_WARNING, "attack", text);

	addr_format(x->addr, addr);
	snprintf(text, sizeof(text), "pool address %s gets %u packets of strangers a second", addr, x->rate);
	log_warning("attack: %s", text);
	notice_add_text(&n, "addr", addr);
	notice_add_number(&n, "packets_per_second", x->rate);
	notice_tell(&n);
}

static void tell_end(const struct attack *x, const char *why)
{
	uint64_t seconds = (x->reached_us - x->began_us) / 1000000;
	char addr[ADDR_TEXT], text[NOTICE_TEXT] = "";
	struct notice n = notice_now(NOTICE_ATTACKS, LOG_LEVEL_INFO, "attack-over", text);

	addr_format(x->addr, addr);
	snprintf(text, sizeof(text),
		 "pool address %s is no longer attacked%s; it was for %" PRIu64 " s, by up to %u packets a second",
		 addr, why, seconds, x->peak);
	log_info("attack: %s", text);
	notice_add_text(&n, "addr", addr);
	notice_add_number(&n, "seconds", seconds);
	notice_add_number(&n, "peak_packets_per_second", x->peak);
	notice_tell(&n);
}

/* The list of attacks */

static void forget(struct attacks *a, unsigned i)
{
	a->followed[a->attack[i].place] = 0;
	a->attack[i] = a->attack[--a->n];
	if (i < a->n)
		a->followed[a->attack[i].place] = (uint16_t)(i + 1);
}

static void begin(struct attacks *a, uint32_t addr, uint32_t place, uint64_t now_us)
{
	struct attack *x = &a->attack[a->n];
	uint32_t rate = a->rates.rate[place];

	*x = (struct attack){ .addr = addr,
			      .rate = rate,
			      .peak = rate,
			      .place = place,
			      .began_us = now_us,
			      .reached_us = now_us,
			      .run_due = *a->settings.exec };
	a->followed[place] = (uint16_t)++a->n;
	a->figures.attacks++;
	a->figures.rate += rate;
	tell_begin(x);
}

/* Looks for addresses that have reached the threshold. */
static void find_new(struct attacks *a, uint64_t now_us)
{
	const struct rates *r = &a->rates;

	a->figures.unfollowed = 0;
	for (size_t i = 0; i < r->n_pools; i++) {
		const struct rate_pool *p = &r->pool[i];

		for (uint32_t k = 0; k < p->n; k++) {
			if (r->rate[p->place + k] < a->settings.packets_per_second || a->followed[p->place + k])
				continue;
			if (a->n < MAX_ATTACKS)
				begin(a, p->first + k, p->place + k, now_us);
			else
				a->figures.unfollowed++;
		}
	}
	if (!a->figures.unfollowed || (a->crowded_us && now_us - a->crowded_us < CROWDED_US))
		return;
	a->crowded_us = now_us;
	log_warning("attack: %" PRIu64 " more pool addresses are attacked; %u are followed", a->figures.unfollowed,
		    MAX_ATTACKS);
}

static void follow(struct attacks *a, uint64_t now_us)
{
	a->figures.rate = 0;
	for (unsigned i = 0; i < a->n;) {
		struct attack *x = &a->attack[i];

		x->rate = a->rates.rate[x->place];
		a->figures.rate += x->rate;
		if (x->rate > x->peak)
			x->peak = x->rate;
		if (x->rate >= a->settings.packets_per_second)
			x->reached_us = now_us;
		if (now_us - x->reached_us < a->settings.hold * 1000000ULL) {
			i++;
			continue;
		}
		tell_end(x, "");
		forget(a, i);
	}
}

/* Programs */

/* Whether programs go on running. */
static bool end_runs(struct attacks *a)
{
	bool more = false;

	for (unsigned i = 0; i < MAX_RUNS; i++) {
		bool failed = false;

		if (!a->run[i])
			continue;
		if (!exec_ended(a->run[i], &failed)) {
			more = true;
			continue;
		}
		a->run[i] = NULL;
		a->figures.failed += failed;
	}
	return more;
}

static void begin_runs(struct attacks *a)
{
	unsigned free_place = 0;

	for (unsigned i = 0; i < a->n; i++) {
		struct attack *x = &a->attack[i];
		int r;

		if (!x->run_due)
			continue;
		while (free_place < MAX_RUNS && a->run[free_place])
			free_place++;
		if (free_place == MAX_RUNS)
			return;
		r = exec_begin(a->settings.exec, x->addr, x->peak, a->settings.hold, &a->run[free_place]);
		/* The next look tries again. */
		if (r)
			return;
		x->run_due = false;
		a->figures.runs++;
	}
}

/* Counting */

static void stop_counting(struct attacks *a)
{
	rates_end(&a->rates, a->mappings);
	free(take_pointer(a->followed));
}

/* Finds the places of the attacked addresses in new rates; those that are in no pool any more are not attacked. */
static void place_again(struct attacks *a)
{
	unsigned n = a->n;

	a->n = 0;
	for (unsigned i = 0; i < n; i++) {
		struct attack x = a->attack[i];
		int number = mappings_find_outside(a->mappings, x.addr);
		int64_t place = number < 0 ? -1 : rates_place(&a->rates, number, x.addr);

		if (place < 0) {
			tell_end(&x, ", as it is in no pool any more");
			continue;
		}
		x.place = (uint32_t)place;
		a->attack[a->n++] = x;
		a->followed[place] = (uint16_t)a->n;
	}
}

static void count_pools(struct attacks *a)
{
	stop_counting(a);
	if (!rates_begin(&a->rates, a->mappings))
		a->followed = calloc(a->rates.n + 1, sizeof(*a->followed));
	if (a->followed) {
		place_again(a);
		a->looked_us = monotonic_us();
		return;
	}
	/* The next look tries again. */
	stop_counting(a);
	a->n = 0;
	log_warning("attack: no memory to count the packets of strangers");
}

static void look(struct attacks *a)
{
	uint64_t now_us = monotonic_us(), elapsed_us = now_us - a->looked_us;

	/* What a short time shows is no rate. */
	if (elapsed_us < ATTACK_LOOK_US / 2)
		elapsed_us = ATTACK_LOOK_US / 2;
	a->looked_us = now_us;
	rates_read(&a->rates, a->mappings, elapsed_us);
	follow(a, now_us);
	find_new(a, now_us);
	a->figures.attacked = a->n;
	begin_runs(a);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct attacks *a = arg;

	if (!end_runs(a) && !a->settings.enabled)
		event_del(a->timer);
	if (!a->settings.enabled)
		return;
	if (a->followed)
		look(a);
	if (!a->followed || !rates_fit(&a->rates, a->mappings))
		count_pools(a);
}

bool attacks_rate(const struct attacks *a, int number, uint32_t addr, uint64_t *ret_rate, bool *ret_attacked)
{
	int64_t place = a && a->followed ? rates_place(&a->rates, number, addr) : -1;

	if (place < 0)
		return false;
	*ret_rate = a->rates.rate[place];
	*ret_attacked = a->followed[place];
	return true;
}

struct attack_figures attacks_figures(const struct attacks *a)
{
	return a->figures;
}

void attacks_configure(struct attacks *a, const struct config_attack *c)
{
	bool was = a->settings.enabled;

	a->settings = *c;
	a->figures.enabled = c->enabled;
	if (!c->enabled) {
		stop_counting(a);
		a->n = 0;
		a->figures.attacked = a->figures.rate = a->figures.unfollowed = 0;
		return;
	}
	if (!was)
		event_add(a->timer, &(struct timeval){ ATTACK_LOOK_US / 1000000, ATTACK_LOOK_US % 1000000 });
	for (unsigned i = 0; i < a->n && !*c->exec; i++)
		a->attack[i].run_due = false;
	if (was && a->followed && rates_fit(&a->rates, a->mappings))
		return;
	if (was && a->followed)
		look(a);
	count_pools(a);
}

int attacks_new(struct event_base *base, const struct mappings *m, struct attacks **ret)
{
	struct attacks *a = calloc(1, sizeof(*a));

	if (!a)
		return -ENOMEM;
	a->mappings = m;
	a->timer = event_new(base, -1, EV_PERSIST, on_timer, a);
	if (!a->timer) {
		free(a);
		return -ENOMEM;
	}
	*ret = a;
	return 0;
}

void attacks_free(struct attacks *a)
{
	if (!a)
		return;
	event_free(a->timer);
	for (unsigned i = 0; i < MAX_RUNS; i++)
		if (a->run[i])
			exec_abort(a->run[i]);
	stop_counting(a);
	free(a);
}
