/* SPDX-License-Identifier: BSD-2-Clause */
#include "peers/replication.h"

#include <errno.h>
#include <string.h>

#include "base/limiter.h"
#include "base/log.h"
#include "base/trouble.h"
#include "config/pools.h"
#include "copies/lease_set.h"
#include "host/paths.h"
#include "host/timer.h"
#include "peers/peer_numbers.h"
#include "peers/replication_means.h"
#include "peers/replication_private.h"

#define MARKS_FILE "replication"

/* The gate's callbacks. */

static bool on_known(void *arg, uint32_t addr)
{
	const struct replication *r = arg;

	for (unsigned i = 0; i < r->n_peers; i++)
		if (r->peer[i].at.addr == addr)
			return true;
	return false;
}

static struct replication_peer *find_peer(const struct replication *r, struct endpoint at)
{
	for (unsigned i = 0; i < r->n_peers; i++)
		if (endpoint_equal(r->peer[i].at, at))
			return (struct replication_peer *)&r->peer[i];
	return NULL;
}

static int on_admit(void *arg, uint32_t from, struct endpoint listen, struct error *why)
{
	const struct replication *r = arg;
	char text[ADDR_TEXT];

	if (!find_peer(r, listen) || listen.addr != from)
		return error_set(why, -EPERM, "it claims to listen on %s:%u, which is not a peer here",
				 addr_format(listen.addr, text), listen.port);
	return replication_key(&r->now) ? 0 : private_way_check(from, why);
}

static void on_enter(void *arg, struct endpoint listen, struct connection *c, const struct hello *h)
{
	const struct replication *r = arg;
	struct replication_peer *p = find_peer(r, listen);
	uint16_t tables = tables_mark(h->tables);

	copying_peer_tables(r->copying, p->number, tables);
	/* Otherwise a loss of tables by the peer while this agent is down would go unnoticed. */
	peer_numbers_note(r->d->pin_dir, p->number, tables);
	receiver_take(p->receiver, c, h->interval_ms);
	sender_hurry(p->sender);
}

static uint64_t order_of(struct endpoint at)
{
	return (uint64_t)at.addr << 16 | at.port;
}

/* The peer of a dialler that did not identify itself: the one with this address, if there is only one. */
static struct replication_peer *guess_peer(const struct replication *r, uint32_t from)
{
	struct replication_peer *found = NULL;

	for (unsigned i = 0; i < r->n_peers; i++) {
		if (r->peer[i].at.addr != from)
			continue;
		if (found)
			return NULL;
		found = (struct replication_peer *)&r->peer[i];
	}
	return found;
}

/* Once a minute for each address, so that strangers do not fill the log. */
static void on_refused(void *arg, uint32_t from, struct endpoint listen, const char *why)
{
	static struct limiter_place places[16];
	const struct replication *r = arg;
	struct replication_peer *p = listen.addr ? find_peer(r, listen) : guess_peer(r, from);
	char text[ADDR_TEXT];

	if (p)
		receiver_note(p->receiver, why);
	if (limiter_ask(places, ARRAY_SIZE(places), from, clock_ns(CLOCK_MONOTONIC), 60 * NS_PER_S) == LIMITER_GO)
		log_warning("replication: a connection from %s is refused: %s (said once a minute)",
			    addr_format(from, text), why);
}

static const struct gate_ops gate_ops = {
	.known = on_known,
	.admit = on_admit,
	.enter = on_enter,
	.refused = on_refused,
};

/* Start and end. */

static void stop_peers(struct replication *r)
{
	for (unsigned i = 0; i < r->n_peers; i++) {
		sender_free(r->peer[i].sender);
		receiver_free(r->peer[i].receiver);
	}
	memset(r->peer, 0, sizeof(r->peer));
	r->n_peers = 0;
	r->spoken = 0;
}

/* Ends all connections; the tables' side keeps its data. */
static void stop(struct replication *r)
{
	replication_work_stop(r);
	stop_peers(r);
	gate_close(take_pointer(r->gate));
}

static void on_wants_copy(void *arg)
{
	struct replication_peer *p = arg;

	sender_copy_again(p->sender);
}

/* Without a key, the route to a peer may become unsuitable. */
static void look_at_way(struct replication_peer *p)
{
	p->refused.text[0] = '\0';
	if (private_way_check(p->at.addr, &p->refused) == -ENETUNREACH)
		p->refused.text[0] = '\0';
}

static int start_peers(struct replication *r)
{
	const struct config_replication *rules = &r->now.rules;
	struct peer_number numbers[REPLICATION_MAX_PEERS];
	uint64_t order[COPYING_PEERS + 1] = { order_of(rules->listen) };
	int ret = peer_numbers(r->d->pin_dir, rules, numbers);

	for (uint32_t i = 0; i < rules->n_peers; i++)
		order[numbers[i].number] = order_of(rules->peers[i]);
	copying_set_order(r->copying, order);
	if (ret)
		log_warning("replication: the numbers of peers cannot be kept over a restart: %s", strerror(-ret));
	for (uint32_t i = 0; i < rules->n_peers; i++) {
		struct replication_peer *p = &r->peer[r->n_peers++];

		*p = (struct replication_peer){ .copying = r->copying,
						.at = rules->peers[i],
						.number = numbers[i].number,
						.since_ms = replication_now_ms(),
						.spoken_for = numbers[i].spoken };
		r->spoken |= (uint8_t)(numbers[i].spoken << numbers[i].number);
		if (numbers[i].tables)
			copying_peer_tables(r->copying, p->number, numbers[i].tables);
		ret = sender_new(&r->sending, p->at, p->number, &p->sender);
		if (!replication_key(&r->now))
			look_at_way(p);
		if (!ret)
			ret = receiver_new(r->copying, p->number, on_wants_copy, p, &p->receiver);
		if (ret)
			return ret;
	}
	return 0;
}

static int compare_prefixes(struct prefix a, struct prefix b)
{
	if (a.base != b.base)
		return a.base < b.base ? -1 : 1;
	if (a.plen != b.plen)
		return a.plen - b.plen;
	return (a.last > b.last) - (a.last < b.last);
}

static int compare_pairs(const void *a, const void *b)
{
	const struct replication_pair *x = a, *y = b;
	int order = compare_prefixes(x->in, y->in);

	return order ? order : compare_prefixes(x->out, y->out);
}

static bool is_owned(const void *arg, struct prefix in, struct prefix out)
{
	const struct replication_owned *o = arg;
	const struct replication_pair wanted = { in, out };

	return !o->n || bsearch(&wanted, o->mapping, o->n, sizeof(wanted), compare_pairs);
}

/* Whether a mapping is named, or has addresses of a named one through a pool drain or a move. */
static bool is_named(const struct config *c, const struct config_mapping *m)
{
	const struct config_replication *rules = &c->replication;
	const struct config_mapping *home = pool_home(c, m);

	for (uint32_t i = 0; i < rules->n_mappings; i++)
		if (!strcmp(rules->mappings[i], m->name) || !strcmp(rules->mappings[i], home->name))
			return true;
	return false;
}

/* Notes the mappings behind the names, which may have changed. Returns whether they have. */
static bool note_owned(struct replication *r, const struct config *c)
{
	struct replication_owned *o = &r->owned, before = *o;
	bool changed;

	o->n = 0;
	for (size_t i = 0; c->replication.n_mappings && i < c->n_mappings && o->n < CONFIG_MAX_MAPPINGS; i++)
		if (is_named(c, &c->mappings[i]))
			o->mapping[o->n++] = (struct replication_pair){ c->mappings[i].in, c->mappings[i].out };
	qsort(o->mapping, o->n, sizeof(o->mapping[0]), compare_pairs);
	changed = o->n != before.n;
	for (uint32_t i = 0; i < o->n && !changed; i++)
		changed = compare_pairs(&o->mapping[i], &before.mapping[i]);
	return changed;
}

static struct copying_limits limits_of(const struct replication *r)
{
	return (struct copying_limits){
		.min_age_s = r->now.rules.min_age,
		.interval_ms = r->now.rules.interval * 1000,
		.owned = is_owned,
		.owned_arg = &r->owned,
		.spread = r->now.rules.n_mappings > 0,
	};
}

/* The directory of the control socket: it outlives the agent, but not a reboot. */
static int name_state_file(struct replication *r, const char *control_socket)
{
	const char *slash = strrchr(control_socket, '/');
	_cleanup_free_ char *dir = strndup(control_socket, slash ? (size_t)(slash - control_socket) : 0);
	struct error why;

	if (r->state_file)
		return 0;
	if (!dir)
		return -ENOMEM;
	if (*dir)
		path_make_directory(dir, 0755, &why);
	return asprintf(&r->state_file, "%s/" MARKS_FILE, dir) < 0 ? -ENOMEM : 0;
}

static int open_lease_stamps(const struct datapath *d)
{
	int fd = lease_stamps_open(d->pin_dir, datapath_lease_room(d));

	if (fd < 0)
		log_warning("replication: acts on PCP leases are forgotten when the agent ends: %s", strerror(-fd));
	return fd;
}

static int start_copying(struct replication *r)
{
	struct copying_limits limits = limits_of(r);

	if (r->copying) {
		copying_set_limits(r->copying, &limits);
		return 0;
	}

	int ret = copying_new(r->mappings, &limits, r->state_file, &r->copying);

	if (!ret)
		copying_set_portmaps(r->copying, r->portmaps, open_lease_stamps(r->d));
	if (!ret && r->growth)
		copying_set_growth(r->copying, r->growth, r->grants);
	return ret;
}

/* fd: a socket that listens. */
static int start(struct replication *r, int fd)
{
	int ret = start_copying(r);

	if (ret) {
		close(fd);
		return ret;
	}
	r->sending = (struct sending){
		.connection = {
			.base = r->base,
			.key = replication_key(&r->now),
			.listen = r->now.rules.listen,
			.interval_ms = r->now.rules.interval * 1000,
			.tables = tables_identity(r->d),
		},
		.copying = r->copying,
	};
	ret = gate_open(&r->sending.connection, fd, &gate_ops, r, &r->gate);
	if (!ret)
		ret = start_peers(r);
	if (!ret)
		ret = replication_work_start(r);
	if (ret)
		stop(r);
	return ret;
}

static void turn_off(struct replication *r)
{
	stop(r);
	copying_free(take_pointer(r->copying));
	if (r->state_file)
		copying_forget(r->state_file);
	replication_state_end();
}

/* Tries again the steps that failed at the start. */
static void try_again(struct replication *r)
{
	static const struct replication_source none = { 0 };
	struct replication_means m;
	struct error why = { 0 };
	int ret = replication_prepare(&r->now.rules, r->gate ? &r->now.rules : NULL, &m, &none, &why);

	if (!ret) {
		replication_means_drop(&r->now);
		r->now = m;
		ret = start(r, take_fd(r->now.fd));
		if (ret)
			error_set(&why, ret, "sessions cannot be copied: %s", strerror(-ret));
	}
	r->now.waits = ret;
	if (ret)
		trouble_set(TROUBLE_REPLICATION, "%s; tried again every second", why.text);
}

static void tick_peers(struct replication *r)
{
	for (unsigned i = 0; i < r->n_peers; i++) {
		struct replication_peer *p = &r->peer[i];

		if (!replication_key(&r->now) && r->ticks % REPLICATION_TICKS_A_SECOND == 0)
			look_at_way(p);
		sender_tick(p->sender, r->passes.complete_ms, *p->refused.text ? p->refused.text : NULL);
		receiver_tick(p->receiver);
	}
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct replication *r = arg;

	r->ticks++;
	if (r->now.waits && r->ticks % REPLICATION_TICKS_A_SECOND == 0)
		try_again(r);
	if (!r->gate)
		return;
	tick_peers(r);
	replication_work_tick(r);
	replication_state_tick(r);
}

int replication_new(struct event_base *base, struct datapath *d, struct mappings *m, struct portmaps *portmaps,
		    const struct grants *grants, struct growth *growth, struct replication **ret, struct error *err)
{
	struct replication *r = calloc(1, sizeof(*r));

	if (!r)
		return error_set(err, -ENOMEM, "out of memory");
	r->base = base;
	r->d = d;
	r->mappings = m;
	r->portmaps = portmaps;
	r->grants = grants;
	r->growth = growth;
	r->now.fd = r->next.fd = -1;
	r->tick = timer_every(base, 1000 / REPLICATION_TICKS_A_SECOND, on_tick, r);
	if (!r->tick) {
		replication_free(r);
		return error_set(err, -ENOMEM, "out of memory");
	}
	*ret = r;
	return 0;
}

void replication_free(struct replication *r)
{
	if (!r)
		return;
	stop(r);
	copying_free(r->copying);
	if (r->tick)
		event_free(r->tick);
	replication_means_drop(&r->now);
	replication_means_drop(&r->next);
	free(r->state_file);
	free(r);
}

int replication_configure(struct replication *r, const struct config *c, bool wait, const char *name, struct error *err)
{
	const struct replication_source from = { c, name };
	struct replication_means m;
	int ret = replication_prepare(&c->replication, r->gate ? &r->now.rules : NULL, &m, &from, err);

	if (ret && !wait)
		return ret;
	replication_abandon(r);
	if (ret) {
		m = (struct replication_means){ .rules = c->replication, .fd = -1, .waits = true };
		trouble_set(TROUBLE_REPLICATION, "%s; tried again every second", err->text);
	}
	r->next = m;
	r->prepared = true;
	return 0;
}

void replication_abandon(struct replication *r)
{
	replication_means_drop(&r->next);
	r->prepared = false;
}

/* A socket that listens on the wanted address: a new one, or another descriptor of the present one. */
static int next_socket(struct replication *r)
{
	return r->next.fd >= 0 ? take_fd(r->next.fd) : gate_socket_again(r->gate);
}

static void switch_over(struct replication *r)
{
	int fd = r->next.rules.enabled && !r->next.waits ? next_socket(r) : -1, ret;

	stop(r);
	replication_means_drop(&r->now);
	r->now = r->next;
	r->next = (struct replication_means){ .fd = -1 };
	if (!r->now.rules.enabled)
		turn_off(r);
	if (!r->now.rules.enabled || r->now.waits)
		return;
	ret = fd < 0 ? fd : start(r, fd);
	r->now.waits = ret;
	if (ret)
		trouble_set(TROUBLE_REPLICATION, "sessions cannot be copied: %s; tried again every second",
			    strerror(-ret));
}

/* After a change that left `replication` unchanged. */
static void follow_mappings(struct replication *r, bool owned_changed)
{
	for (unsigned i = 0; i < r->n_peers; i++) {
		receiver_mappings_changed(r->peer[i].receiver);
		if (owned_changed)
			sender_copy_again(r->peer[i].sender);
	}
}

void replication_settle(struct replication *r, const struct config *c)
{
	bool owned_changed = note_owned(r, c);

	if (c->replication.enabled && name_state_file(r, c->control_socket))
		log_error("replication: out of memory");
	if (r->copying)
		copying_mappings_changed(r->copying);
	if (r->prepared && !(r->gate && replication_same_means(&r->now, &r->next)) &&
	    (r->now.rules.enabled || r->next.rules.enabled))
		switch_over(r);
	else
		follow_mappings(r, owned_changed);
	replication_abandon(r);
}
