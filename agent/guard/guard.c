/* SPDX-License-Identifier: BSD-2-Clause */
#include "guard/guard.h"

#include <errno.h>
#include <string.h>

#include "base/address_ranges.h"
#include "base/findings.h"
#include "base/log.h"
#include "base/trouble.h"
#include "guard/guarded.h"
#include "guard/nft.h"

#define RETRY_S 5
/* Changes by other programs are undone at once, but not more often than this. */
#define RESTORE_MS 200U
/* Deletions narrow the table so long after the first of them, as many may follow. */
#define NARROW_MS 100U
/* A change by another program stays reported until the table has been left alone for this long. */
#define QUIET_S 10

struct guard {
	struct event_base *base; /* NULL: outside an agent */
	struct guard_rules rules;
	uint32_t *interfaces; /* rules.interfaces points to it */
	struct guard_nft *nft;
	struct guard_watch *watch;
	struct event *retry;
	struct event *quiet;  /* pending: another program has changed the table recently */
	struct event *narrow; /* pending: the table covers more than what runs, guard_narrow_soon() */
	struct config *const *running;
	bool enabled;
	uint64_t restored_us;
	uint64_t dropped_us; /* when new drops were last seen in the table; 0: never */
	char problem[192];   /* empty: the guard is in place */
};

static void on_changed(void *arg, bool maybe);
static void on_retry(evutil_socket_t fd, short what, void *arg);
static void on_quiet(evutil_socket_t fd, short what, void *arg);
static void on_narrow(evutil_socket_t fd, short what, void *arg);

int guard_new(struct event_base *base, const char *pin_path, struct guard **ret)
{
	struct guard *g = calloc(1, sizeof(*g));

	if (!g)
		return -ENOMEM;
	g->base = base;
	g->retry = base ? evtimer_new(base, on_retry, g) : NULL;
	g->quiet = base ? evtimer_new(base, on_quiet, g) : NULL;
	g->narrow = base ? evtimer_new(base, on_narrow, g) : NULL;
	if (base && (!g->retry || !g->quiet || !g->narrow)) {
		guard_free(g);
		return -ENOMEM;
	}
	guard_table_name(pin_path, g->rules.table, g->rules.comment);
	snprintf(g->problem, sizeof(g->problem), "it is not in place yet");
	*ret = g;
	return 0;
}

void guard_free(struct guard *g)
{
	if (!g)
		return;
	if (g->narrow && evtimer_pending(g->narrow, NULL))
		on_narrow(-1, 0, g);
	guard_watch_free(g->watch);
	guard_nft_free(g->nft);
	if (g->retry)
		event_free(g->retry);
	if (g->quiet)
		event_free(g->quiet);
	if (g->narrow)
		event_free(g->narrow);
	free(g->rules.inside);
	free(g->rules.six);
	free(g->rules.bypass);
	free(g->rules.held);
	free(g->interfaces);
	free(g);
}

bool guard_is_up(const struct guard *g)
{
	return g && g->enabled && !guard_problem(g);
}

const char *guard_problem(const struct guard *g)
{
	if (!g)
		return "it is not in place yet";
	return g->problem[0] ? g->problem : NULL;
}

static void __attribute__((format(printf, 2, 3))) set_problem(struct guard *g, const char *format, ...)
{
	static const char text[] = "packets that bypass detnat's programs are routed untranslated";
	va_list ap;

	va_start(ap, format);
	vsnprintf(g->problem, sizeof(g->problem), format, ap);
	va_end(ap);
	if (!g->base) {
		log_error("the guard is not in place: %s; %s", g->problem, text);
		return;
	}
	trouble_set(TROUBLE_GUARD, "the guard is not in place: %s; %s; retrying every %d s", g->problem, text, RETRY_S);
	evtimer_add(g->retry, &(struct timeval){ .tv_sec = RETRY_S });
}

/* The table is as wanted, or is not wanted. */
static void end_trouble(struct guard *g)
{
	if (g->base && !evtimer_pending(g->quiet, NULL))
		trouble_clear(TROUBLE_GUARD);
}

static void on_quiet(evutil_socket_t fd, short what, void *arg)
{
	const struct guard *g = arg;

	if (!g->enabled || !g->problem[0])
		trouble_clear(TROUBLE_GUARD);
}

static void tell(struct guard *g, int r)
{
	if (!r) {
		g->problem[0] = '\0';
		end_trouble(g);
		return;
	}
	switch (r) {
	case -EEXIST:
		set_problem(g, "a table inet %s is there that detnat has not made; rename or delete it",
			    g->rules.table);
		break;
	case -EPERM:
		set_problem(g, "the table inet %s belongs to another process, or CAP_NET_ADMIN is missing",
			    g->rules.table);
		break;
	case -ENOENT:
	case -EOPNOTSUPP:
	case -EPROTONOSUPPORT:
	case -EAFNOSUPPORT:
		set_problem(g, "the kernel has no nf_tables, or none with inet and fib (%s)", strerror(-r));
		break;
	default:
		set_problem(g, "the table inet %s cannot be written: %s", g->rules.table, strerror(-r));
	}
}

static int open_sockets(struct guard *g)
{
	int r = g->nft ? 0 : guard_nft_new(&g->nft);

	/* Without notifications, guard_count() notices a second later that the table is gone. */
	if (!r && g->base && !g->watch)
		guard_watch_new(g->base, guard_nft_port(g->nft), g->rules.table, on_changed, g, &g->watch);
	return r;
}

static int write_table(struct guard *g)
{
	int r = open_sockets(g);

	if (!r)
		r = guard_nft_write(g->nft, &g->rules);
	tell(g, r);
	return r;
}

/* The same if other programs may have added to it. */
static int restore_table(struct guard *g)
{
	int r = write_table(g);

	if (r || guard_differs(g->nft, &g->rules) <= 0)
		return r;
	r = guard_nft_write_anew(g->nft, &g->rules);
	tell(g, r);
	return r;
}

static int remove_table(struct guard *g)
{
	int r = open_sockets(g);

	if (!r)
		r = guard_nft_remove(g->nft, &g->rules);
	snprintf(g->problem, sizeof(g->problem), "\"guard\" is false");
	end_trouble(g);
	/* Without nf_tables there is no table either. */
	if (!r || r == -ENOENT || r == -EOPNOTSUPP || r == -EPROTONOSUPPORT || r == -EAFNOSUPPORT)
		return 0;
	log_error("the guard's table inet %s cannot be removed: %s", g->rules.table, strerror(-r));
	return r;
}

static int refresh(struct guard *g)
{
	return g->enabled ? write_table(g) : remove_table(g);
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
	struct guard *g = arg;

	if (g->enabled)
		restore_table(g);
}

/* Another program has changed or removed the table, or may have. */
static void on_changed(void *arg, bool maybe)
{
	struct guard *g = arg;
	uint64_t now = monotonic_us();

	if (!g->enabled || (maybe && !guard_differs(g->nft, &g->rules)))
		return;
	evtimer_add(g->quiet, &(struct timeval){ .tv_sec = QUIET_S });
	/* It may do so again and again. */
	if (g->restored_us && now - g->restored_us < RESTORE_MS * 1000UL) {
		evtimer_add(g->retry, &(struct timeval){ .tv_usec = RESTORE_MS * 1000L });
		return;
	}
	g->restored_us = now;
	if (!restore_table(g))
		trouble_set(TROUBLE_GUARD,
			    "another program has changed the guard's table inet %s or removed it; it was restored",
			    g->rules.table);
}

int guard_configure(struct guard *g, const struct config *running, const struct config *wanted)
{
	int r = guarded_prefixes(&g->rules, running, wanted);

	g->rules.n_held = 0;
	if (r) {
		tell(g, r);
		return r;
	}
	if (g->narrow && !running)
		evtimer_del(g->narrow);
	g->enabled = (running && running->guard) || (wanted && wanted->guard);
	return refresh(g);
}

static void on_narrow(evutil_socket_t fd, short what, void *arg)
{
	struct guard *g = arg;

	guard_configure(g, NULL, *g->running);
}

void guard_narrow_soon(struct guard *g, struct config *const *running)
{
	const struct timeval delay = { .tv_usec = NARROW_MS * 1000L };

	g->running = running;
	if (!evtimer_pending(g->narrow, NULL))
		evtimer_add(g->narrow, &delay);
}

void guard_hold(struct guard *g, const struct prefix *in, size_t n)
{
	struct address_range *held;
	size_t n_held = 0;

	if (!g->enabled || (!n && !g->rules.n_held))
		return;
	held = calloc(n + 1, sizeof(*held));
	if (!held) {
		tell(g, -ENOMEM);
		return;
	}
	/* Without a mapping no program passes packets of IPv6 subscribers, nor anything to the NAT64 prefix. */
	for (size_t i = 0; i < n; i++)
		if (!prefix_is_virtual(in[i]))
			held[n_held++] = address_range_of(in[i]);
	free(g->rules.held);
	g->rules.held = held;
	g->rules.n_held = address_ranges_merge(held, n_held);
	write_table(g);
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* Takes ownership of a list, and writes it to the table if it has changed. */
static void set_interfaces(struct guard *g, uint32_t *list, size_t n)
{
	bool same;

	if (n)
		qsort(list, n, sizeof(*list), compare);
	same = n == g->rules.n_interfaces && (!n || !memcmp(list, g->interfaces, n * sizeof(*list)));
	free(g->interfaces);
	g->rules.interfaces = g->interfaces = list;
	g->rules.n_interfaces = n;
	if (!same && g->enabled)
		write_table(g);
}

static bool contains(const uint32_t *list, size_t n, uint32_t ifindex)
{
	for (size_t i = 0; i < n; i++)
		if (list[i] == ifindex)
			return true;
	return false;
}

/* NULL if out of memory: then every interface is shut, which is safe. */
static uint32_t *list_new(size_t n)
{
	return calloc(n + 1, sizeof(uint32_t));
}

void guard_open(struct guard *g, const uint32_t *ifindex, size_t n)
{
	uint32_t *list = list_new(n);

	if (list)
		memcpy(list, ifindex, n * sizeof(*list));
	set_interfaces(g, list, list ? n : 0);
}

void guard_keep(struct guard *g, const uint32_t *ifindex, size_t n)
{
	uint32_t *list = list_new(g->rules.n_interfaces);
	size_t kept = 0;

	for (size_t i = 0; list && i < g->rules.n_interfaces; i++)
		if (contains(ifindex, n, g->interfaces[i]))
			list[kept++] = g->interfaces[i];
	set_interfaces(g, list, kept);
}

void guard_shut(struct guard *g, uint32_t ifindex)
{
	uint32_t *list = list_new(g->rules.n_interfaces);
	size_t kept = 0;

	for (size_t i = 0; list && i < g->rules.n_interfaces; i++)
		if (g->interfaces[i] != ifindex)
			list[kept++] = g->interfaces[i];
	set_interfaces(g, list, kept);
}

static void count(struct guard *g, const struct datapath *d, const char *name, enum reason reason)
{
	uint64_t packets;

	int r = guard_nft_take(g->nft, g->rules.table, name, &packets);

	if (r == -ENOENT)
		on_changed(g, false);
	if (r)
		return;
	if (packets)
		g->dropped_us = monotonic_us();
	while (packets) {
		uint32_t n = packets > UINT32_MAX ? UINT32_MAX : (uint32_t)packets;

		datapath_count(d, reason, n);
		packets -= n;
	}
}

void guard_count(struct guard *g, const struct datapath *d)
{
	if (!g || !g->enabled || g->problem[0])
		return;
	count(g, d, GUARD_COUNTER_OUT, REASON_drop_guard_out);
	count(g, d, GUARD_COUNTER_IN, REASON_drop_guard_in);
}

int64_t guard_last_drop(const struct guard *g)
{
	return g->dropped_us ? (int64_t)((monotonic_us() - g->dropped_us) / 1000000) : -1;
}

static int find_faults(struct guard *g, struct findings *f, size_t *ret_parts)
{
	*ret_parts = 0;
	if (g->enabled && !g->problem[0])
		return guard_compare(g->nft, &g->rules, f, ret_parts);
	if (g->enabled)
		findings_add(f, FINDING_GUARD, false, "table", "%s", g->problem);
	else if (!open_sockets(g) && !guard_nft_look(g->nft, &g->rules))
		findings_add(f, FINDING_GUARD, false, "table", "inet %s exists although \"guard\" is false",
			     g->rules.table);
	return 0;
}

int guard_audit(struct guard *g, bool repair, struct findings *findings, size_t *ret_parts)
{
	struct findings after = { 0 };
	size_t before = findings->n;
	int r = find_faults(g, findings, ret_parts);

	if (r || !repair || findings->n == before)
		return r;
	if (g->enabled)
		restore_table(g);
	else
		remove_table(g);
	r = find_faults(g, &after, ret_parts);
	if (!r)
		findings_mark_repaired(findings, before, &after);
	findings_free(&after);
	return r;
}

/* Acts on the table of a pin path through a socket of its own. */
static int on_table(const char *pin_path, int (*act)(struct guard_nft *n, const struct guard_rules *rules))
{
	struct guard_rules rules = { 0 };
	struct guard_nft *n = NULL;
	int r = guard_nft_new(&n);

	if (r)
		return -ENOENT;
	guard_table_name(pin_path, rules.table, rules.comment);
	r = act(n, &rules);
	guard_nft_free(n);
	return r == -EOPNOTSUPP ? -ENOENT : r;
}

int guard_remove(const char *pin_path)
{
	return on_table(pin_path, guard_nft_remove);
}

bool guard_is_there(const char *pin_path)
{
	return !on_table(pin_path, guard_nft_look);
}

int guard_shut_all(const char *pin_path, const struct config *running, const struct config *wanted)
{
	struct guard *g;
	int r;

	if (!guard_is_there(pin_path))
		return 0;
	r = guard_new(NULL, pin_path, &g);
	if (r)
		return r;
	r = guard_configure(g, running, wanted);
	guard_free(g);
	return r;
}
