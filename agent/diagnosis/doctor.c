/* SPDX-License-Identifier: BSD-2-Clause */
#include "diagnosis/doctor_private.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "links/interfaces_patterns.h"

static const struct {
	const char *name;
	void (*run)(struct doctor *d);
	bool at_start;	 /* also run at every start, reload and -t */
	bool in_explain; /* and by explain */
} checks[] = {
	{ "kernel", doctor_kernel, false, false },
	{ "jit", doctor_jit, false, false },
	{ "bpffs", doctor_bpffs, false, false },
	{ "clock", doctor_clock, false, false },
	{ "configuration", doctor_configuration, false, false },
	{ "links", doctor_links, false, false },
	{ "xdp", doctor_xdp, false, false },
	{ "libxdp", doctor_shared, false, false },
	{ "tc", doctor_hooks, false, false },
	{ "offloads", doctor_offloads, false, false },
	{ "queues", doctor_queues, false, false },
	{ "rss", doctor_rss, false, false },
	{ "moderation", doctor_moderation, false, false },
	{ "transmit", doctor_transmit, false, false },
	{ "removal", doctor_removal, false, false },
	{ "steering", doctor_steering, false, false },
	{ "numa", doctor_numa, false, false },
	{ "governor", doctor_governor, false, false },
	{ "names", doctor_names, false, false },
	{ "roles", doctor_roles, true, false },
	{ "forwarding", doctor_forwarding, false, false }, /* attaching also warns of it */
	{ "rp_filter", doctor_rp_filter, false, false },
	{ "inside routes", doctor_inside_routes, true, false },
	{ "route out", doctor_outside_route, true, false },
	{ "rules", doctor_rules, false, true },
	{ "pools", doctor_pools, true, true },
	{ "portmaps", doctor_portmaps, true, true },
	{ "leases", doctor_leases, false, false },
	{ "neighbours", doctor_neighbours, true, false },
	{ "firewall", doctor_firewall, true, true },
	{ "dropping", doctor_dropping, false, true },
	{ "conntrack", doctor_conntrack, true, true },
	{ "queueing", doctor_queueing, true, true },
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

enum extent { ALL, AT_START, IN_EXPLAIN, POOLS_ALONE };

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
		if (extent == ALL || (extent == AT_START && checks[i].at_start) ||
		    (extent == IN_EXPLAIN && checks[i].in_explain) ||
		    (extent == POOLS_ALONE && checks[i].run == doctor_pools))
			checks[i].run(d);
	}
	end(d);
	return r;
}

static void print(struct doctor *d, enum doctor_level level, const char *text)
{
	static const char *const words[] = {
		[DOCTOR_OK] = "ok",
		[DOCTOR_UNKNOWN] = "unknown",
		[DOCTOR_WARNING] = "WARNING",
		[DOCTOR_FAILURE] = "FAILURE",
	};

	printf("%-8s %-14s ", words[level], d->check);
	text_line(stdout, "", text);
}

static const char *plural(unsigned n)
{
	return n == 1 ? "" : "s";
}

unsigned doctor_examine(const struct config *c, const char *config_path)
{
	struct doctor d = { .config = c, .config_path = config_path, .root = "", .report = print };
	int r = examine(&d, ALL);

	if (r) {
		printf("FAILURE  the interfaces cannot be read: %s\n", strerror(-r));
		return 1;
	}
	printf("%u failure%s, %u warning%s, %u ok, %u unknown\n", d.count[DOCTOR_FAILURE],
	       plural(d.count[DOCTOR_FAILURE]), d.count[DOCTOR_WARNING], plural(d.count[DOCTOR_WARNING]),
	       d.count[DOCTOR_OK], d.count[DOCTOR_UNKNOWN]);
	return d.count[DOCTOR_FAILURE];
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
		d->say(d->say_arg, d->check, text);
}

void doctor_explain(const struct config *c, doctor_finding say, void *arg)
{
	struct doctor d = { .config = c, .root = "", .report = tell_finding, .say = say, .say_arg = arg };

	examine(&d, IN_EXPLAIN);
}

void doctor_pool_warnings(const struct config *c, doctor_finding say, void *arg)
{
	struct doctor d = { .config = c, .root = "", .report = tell_finding, .say = say, .say_arg = arg };

	examine(&d, POOLS_ALONE);
}
