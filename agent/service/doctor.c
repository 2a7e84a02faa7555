/* SPDX-License-Identifier: BSD-2-Clause */
#include "service/doctor_private.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/log.h"

static const struct {
	const char *name;
	void (*run)(struct doctor *d);
	bool at_start; /* run at every start, too */
} checks[] = {
	{ "kernel", doctor_kernel, false },
	{ "jit", doctor_jit, false },
	{ "bpffs", doctor_bpffs, false },
	{ "clock", doctor_clock, false },
	{ "configuration", doctor_configuration, false },
	{ "xdp", doctor_xdp, false },
	{ "offloads", doctor_offloads, false },
	{ "queues", doctor_queues, false },
	{ "names", doctor_names, false },
	{ "forwarding", doctor_forwarding, false }, /* attaching warns of it, too */
	{ "rp_filter", doctor_rp_filter, false },
	{ "inside routes", doctor_inside_routes, true },
	{ "route out", doctor_outside_route, true },
	{ "pools", doctor_pools, true },
	{ "neighbours", doctor_neighbours, true },
	{ "firewall", doctor_firewall, true },
	{ "conntrack", doctor_conntrack, true },
	{ "queueing", doctor_queueing, true },
};

void doctor_say(struct doctor *d, enum doctor_level level, const char *format, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	d->count[level]++;
	d->report(d, level, text);
}

const struct link *doctor_link(const struct doctor *d, const struct config_interface *i)
{
	for (size_t k = 0; k < d->links.count; k++)
		if (!strcmp(d->links.link[k].name, i->name))
			return &d->links.link[k];
	return NULL;
}

const struct config_interface *doctor_interface(const struct doctor *d, const char *name, uint8_t roles)
{
	const struct config_interface *i = config_find_interface(d->config, name);

	return i && i->roles & roles ? i : NULL;
}

static bool read_at(const struct doctor *d, char *ret, size_t size, const char *format, va_list ap)
{
	char path[256];
	int at = snprintf(path, sizeof(path), "%s", d->root);
	ssize_t n;

	vsnprintf(path + at, sizeof(path) - (size_t)at, format, ap);

	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

	n = fd < 0 ? -1 : read(fd, ret, size - 1);
	if (n < 0)
		return false;
	ret[n] = '\0';
	ret[strcspn(ret, "\n")] = '\0';
	return true;
}

bool doctor_read(const struct doctor *d, char *ret, size_t size, const char *format, ...)
{
	va_list ap;
	bool found;

	va_start(ap, format);
	found = read_at(d, ret, size, format, ap);
	va_end(ap);
	return found;
}

bool doctor_read_number(const struct doctor *d, long long *ret, const char *format, ...)
{
	char text[64], *end;
	va_list ap;
	bool found;

	va_start(ap, format);
	found = read_at(d, text, sizeof(text), format, ap);
	va_end(ap);
	if (!found)
		return false;
	*ret = strtoll(text, &end, 10);
	return end != text;
}

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

static int examine(struct doctor *d, bool all)
{
	int r = begin(d);

	for (size_t i = 0; !r && i < ARRAY_SIZE(checks); i++) {
		d->check = checks[i].name;
		if (all || checks[i].at_start)
			checks[i].run(d);
	}
	end(d);
	return r;
}

static void print(struct doctor *d, enum doctor_level level, const char *text)
{
	static const char *const words[] = {
		[DOCTOR_OK] = "ok",
		[DOCTOR_WARNING] = "WARNING",
		[DOCTOR_FAILURE] = "FAILURE",
	};

	printf("%-8s %-14s %s\n", words[level], d->check, text);
}

static const char *plural(unsigned n)
{
	return n == 1 ? "" : "s";
}

unsigned doctor_examine(const struct config *c, const char *config_path)
{
	struct doctor d = { .config = c, .config_path = config_path, .root = "", .report = print };
	int r = examine(&d, true);

	if (r) {
		printf("FAILURE  the interfaces cannot be read: %s\n", strerror(-r));
		return 1;
	}
	printf("%u failure%s, %u warning%s, %u ok\n", d.count[DOCTOR_FAILURE], plural(d.count[DOCTOR_FAILURE]),
	       d.count[DOCTOR_WARNING], plural(d.count[DOCTOR_WARNING]), d.count[DOCTOR_OK]);
	return d.count[DOCTOR_FAILURE];
}

static void log_finding(struct doctor *d, enum doctor_level level, const char *text)
{
	if (level != DOCTOR_OK)
		log_warning("%s", text);
}

void doctor_warn(const struct config *c)
{
	struct doctor d = { .config = c, .root = "", .report = log_finding };
	int r = examine(&d, false);

	if (r)
		log_warning("the interfaces cannot be read: %s", strerror(-r));
}
