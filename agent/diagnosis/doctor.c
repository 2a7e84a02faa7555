/* SPDX-License-Identifier: BSD-2-Clause */
#include "diagnosis/doctor_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "links/interfaces_patterns.h"

/* When a check is made besides --doctor. */
#define AT_START_TOO 1 /* at every start, reload and -t */
#define EXPLAINED    2 /* by explain */
#define IN_STATUS    4 /* by status alone, besides those two */
/* What it finds makes packets slower, and keeps none from passing. */
#define TUNING 8

static const struct {
	const char *name;
	void (*run)(struct doctor *d);
	unsigned when;
} checks[] = {
	{ "kernel", doctor_kernel, 0 },
	{ "jit", doctor_jit, TUNING },
	{ "bpffs", doctor_bpffs, 0 },
	{ "clock", doctor_clock, TUNING },
	{ "configuration", doctor_configuration, 0 },
	{ "links", doctor_links, IN_STATUS },
	{ "xdp", doctor_xdp, TUNING },
	{ "libxdp", doctor_shared, TUNING },
	{ "tc", doctor_hooks, 0 },
	{ "offloads", doctor_offloads, TUNING },
	{ "queues", doctor_queues, TUNING },
	{ "rss", doctor_rss, TUNING },
	{ "moderation", doctor_moderation, TUNING },
	{ "transmit", doctor_transmit, TUNING },
	{ "removal", doctor_removal, TUNING },
	{ "steering", doctor_steering, TUNING },
	{ "numa", doctor_numa, TUNING },
	{ "governor", doctor_governor, TUNING },
	{ "names", doctor_names, 0 },
	{ "roles", doctor_roles, AT_START_TOO },
	{ "forwarding", doctor_forwarding, IN_STATUS }, /* attaching also warns of it */
	{ "rp_filter", doctor_rp_filter, IN_STATUS },
	{ "inside filters", doctor_inside_filters, AT_START_TOO },
	{ "inside routes", doctor_inside_routes, AT_START_TOO },
	{ "route out", doctor_outside_route, AT_START_TOO },
	{ "nat64", doctor_nat64, AT_START_TOO },
	{ "mtu", doctor_mtu, AT_START_TOO | EXPLAINED },
	{ "rules", doctor_rules, EXPLAINED },
	{ "pools", doctor_pools, AT_START_TOO | EXPLAINED },
	{ "portmaps", doctor_portmaps, AT_START_TOO | EXPLAINED },
	{ "leases", doctor_leases, 0 },
	{ "neighbours", doctor_neighbours, AT_START_TOO },
	{ "masquerade", doctor_masquerade, AT_START_TOO | EXPLAINED },
	{ "dropping", doctor_dropping, EXPLAINED },
	{ "firewall", doctor_firewall, AT_START_TOO | EXPLAINED },
	{ "conntrack", doctor_conntrack, AT_START_TOO | EXPLAINED },
	{ "queueing", doctor_queueing, AT_START_TOO | EXPLAINED },
};

static int begin(struct doctor *d)
{
	struct link *links;
	int r = netlink_new(&d->netlink);

	if (!r)
		r = links_read(d->netlink, &links, &d->links.count);
	if (r)
		return r;
	d->links.link = links;
	return addresses_read(d->netlink, &d->addresses, &d->n_addresses);
}

static void end(struct doctor *d)
{
	netlink_free(d->netlink);
	free((void *)d->links.link);
	free(d->addresses);
}

enum extent { ALL, AT_START, IN_EXPLAIN, CHEAP, POOLS_ALONE };

static int examine(struct doctor *d, enum extent extent)
{
	_cleanup_config_ struct config *expanded = NULL;
	int r = begin(d);

	if (!r) {
		expanded = patterns_expand(d->config, &d->links);
		r = expanded ? 0 : -ENOMEM;
	}
	if (!r) {
		d->names_any = config_inside_from(d->config) == INSIDE_ANY;
		d->names_patterns = config_inside_from(d->config) != INSIDE_NAMED;
		d->config = expanded;
	}
	for (size_t i = 0; !r && i < ARRAY_SIZE(checks); i++) {
		d->check = checks[i].name;
		if (extent == ALL || (extent == AT_START && checks[i].when & AT_START_TOO) ||
		    (extent == IN_EXPLAIN && checks[i].when & EXPLAINED) ||
		    (extent == CHEAP && checks[i].when & (AT_START_TOO | EXPLAINED | IN_STATUS)) ||
		    (extent == POOLS_ALONE && checks[i].run == doctor_pools))
			checks[i].run(d);
	}
	end(d);
	return r;
}

const char *doctor_level_word(enum doctor_level level)
{
	static const char *const words[] = {
		[DOCTOR_OK] = "ok",
		[DOCTOR_UNKNOWN] = "unknown",
		[DOCTOR_WARNING] = "WARNING",
		[DOCTOR_FAILURE] = "FAILURE",
	};

	return words[level];
}

static void tell_line(struct doctor *d, enum doctor_level level, const char *text)
{
	d->say(d->say_arg, d->check, level, text);
}

int doctor_lines(const struct config *c, const char *config_path, doctor_line say, void *arg)
{
	struct doctor d = {
		.config = c, .config_path = config_path, .root = "", .report = tell_line, .say = say, .say_arg = arg
	};

	return examine(&d, ALL);
}

unsigned doctor_rank(const char *check, enum doctor_level level)
{
	bool tuning = false;

	for (size_t i = 0; i < ARRAY_SIZE(checks); i++)
		tuning |= checks[i].when & TUNING && !strcmp(checks[i].name, check);
	if (level == DOCTOR_WARNING)
		return tuning ? 2 : 1;
	return level == DOCTOR_FAILURE ? 0 : level == DOCTOR_UNKNOWN ? 3 : 4;
}

/* What is printed, by rank. */
struct pages {
	FILE *out[DOCTOR_N_RANKS];
	char *text[DOCTOR_N_RANKS];
	size_t size[DOCTOR_N_RANKS];
	unsigned count[DOCTOR_N_LEVELS];
};

static void note_line(void *arg, const char *check, enum doctor_level level, const char *text)
{
	struct pages *p = arg;
	FILE *out = p->out[doctor_rank(check, level)];

	p->count[level]++;
	fprintf(out, "%-7s  %-14s  ", doctor_level_word(level), check);
	text_line(out, "", text);
}

static const char *plural(unsigned n)
{
	return n == 1 ? "" : "s";
}

unsigned doctor_examine(const struct config *c, const char *config_path)
{
	struct pages p = { 0 };
	int r = 0;

	for (unsigned rank = 0; rank < DOCTOR_N_RANKS; rank++) {
		p.out[rank] = open_memstream(&p.text[rank], &p.size[rank]);
		r = p.out[rank] ? r : -ENOMEM;
	}
	if (!r)
		r = doctor_lines(c, config_path, note_line, &p);
	if (r)
		printf("FAILURE  the interfaces cannot be read: %s\n", strerror(-r));
	for (unsigned rank = 0; rank < DOCTOR_N_RANKS; rank++) {
		if (p.out[rank])
			fclose(p.out[rank]);
		if (!r)
			fputs(p.text[rank], stdout);
		free(p.text[rank]);
	}
	if (r)
		return 1;
	printf("%u failure%s, %u warning%s, %u ok, %u unknown\n", p.count[DOCTOR_FAILURE],
	       plural(p.count[DOCTOR_FAILURE]), p.count[DOCTOR_WARNING], plural(p.count[DOCTOR_WARNING]),
	       p.count[DOCTOR_OK], p.count[DOCTOR_UNKNOWN]);
	return p.count[DOCTOR_FAILURE];
}

static void log_finding(struct doctor *d, enum doctor_level level, const char *text)
{
	if (level > DOCTOR_UNKNOWN)
		log_warning("%s", text);
}

void doctor_warn(const struct config *c)
{
	struct doctor d = { .config = c, .root = "", .report = log_finding };
	int r = examine(&d, AT_START);

	if (r)
		log_warning("the interfaces cannot be read: %s", strerror(-r));
}

static void tell_finding(struct doctor *d, enum doctor_level level, const char *text)
{
	if (level > DOCTOR_UNKNOWN)
		d->say(d->say_arg, d->check, level, text);
}

int doctor_warnings(const struct config *c, doctor_line say, void *arg)
{
	struct doctor d = { .config = c, .root = "", .report = tell_finding, .say = say, .say_arg = arg };

	return examine(&d, CHEAP);
}

void doctor_explain(const struct config *c, doctor_line say, void *arg)
{
	struct doctor d = { .config = c, .root = "", .report = tell_finding, .say = say, .say_arg = arg };

	examine(&d, IN_EXPLAIN);
}

void doctor_pool_warnings(const struct config *c, doctor_line say, void *arg)
{
	struct doctor d = { .config = c, .root = "", .report = tell_finding, .say = say, .say_arg = arg };

	examine(&d, POOLS_ALONE);
}
