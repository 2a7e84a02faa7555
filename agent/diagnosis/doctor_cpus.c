/* SPDX-License-Identifier: BSD-2-Clause */
/* Sets of CPUs, and the cards of a configuration with their interrupts. */
#include <ctype.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/base.h"
#include "diagnosis/doctor_cards.h"

bool cpus_parse(const char *list, struct cpus *ret)
{
	struct cpus c = { 0 };
	const char *at = list;

	*ret = c;
	while (*at) {
		char *end;
		unsigned long first = strtoul(at, &end, 10), last = first;

		if (!isdigit((unsigned char)*at))
			return false;
		at = end;
		if (*at == '-') {
			if (!isdigit((unsigned char)at[1]))
				return false;
			last = strtoul(at + 1, &end, 10);
			at = end;
		}
		if (first > last || last >= MAX_CPUS || (*at && *at != ','))
			return false;
		for (unsigned long cpu = first; cpu <= last; cpu++)
			c.word[cpu / 64] |= 1ULL << cpu % 64;
		at += *at == ',';
	}
	*ret = c;
	return true;
}

bool cpus_read(const struct doctor *d, struct cpus *ret, const char *format, ...)
{
	char path[256], list[1024];
	va_list ap;

	va_start(ap, format);
	vsnprintf(path, sizeof(path), format, ap);
	va_end(ap);
	*ret = (struct cpus){ 0 };
	return doctor_read(d, list, sizeof(list), "%s", path) && cpus_parse(list, ret) && cpus_count(ret);
}

void cpus_add(struct cpus *c, const struct cpus *more)
{
	for (size_t i = 0; i < ARRAY_SIZE(c->word); i++)
		c->word[i] |= more->word[i];
}

bool cpus_has(const struct cpus *c, unsigned cpu)
{
	return cpu < MAX_CPUS && c->word[cpu / 64] >> cpu % 64 & 1;
}

unsigned cpus_common(const struct cpus *a, const struct cpus *b)
{
	unsigned n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(a->word); i++)
		n += (unsigned)__builtin_popcountll(a->word[i] & b->word[i]);
	return n;
}

unsigned cpus_count(const struct cpus *c)
{
	return cpus_common(c, c);
}

unsigned cpus_highest(const struct cpus *c)
{
	for (size_t i = ARRAY_SIZE(c->word); i-- > 0;)
		if (c->word[i])
			return (unsigned)(i * 64) + 63 - (unsigned)__builtin_clzll(c->word[i]);
	return 0;
}

void cpus_online(const struct doctor *d, struct cpus *ret)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	if (cpus_read(d, ret, "/sys/devices/system/cpu/online"))
		return;
	for (unsigned cpu = 0; n > 0 && cpu < (unsigned)n && cpu < MAX_CPUS; cpu++)
		ret->word[cpu / 64] |= 1ULL << cpu % 64;
}

static size_t add(struct card_link *list, size_t n, const struct link *l, enum xdp_mode mode)
{
	for (size_t i = 0; i < n; i++)
		if (list[i].link == l)
			return n;
	if (n < MAX_CARDS)
		list[n++] = (struct card_link){ .link = l, .mode = mode };
	return n;
}

size_t cards_list(const struct doctor *d, struct card_link ret[static MAX_CARDS])
{
	size_t n = 0;

	for (size_t i = 0; i < d->config->n_interfaces; i++) {
		const struct config_interface *c = &d->config->interfaces[i];
		const struct link *l = doctor_link(d, c), *carrier;
		enum xdp_mode mode = config_interface_mode(d->config, c);
		size_t before = n;

		carrier = l && link_is_vlan(l) ? vlan_carrier(&d->links, l) : l;
		l = carrier ? carrier : l;
		for (size_t k = 0; l && link_is_stacked(l) && k < d->links.count; k++)
			if (d->links.link[k].master == l->ifindex)
				n = add(ret, n, &d->links.link[k], mode);
		if (l && n == before)
			n = add(ret, n, l, mode);
	}
	return n;
}

void card_settings(const struct doctor *d, const struct link *l, struct card *ret)
{
	(d->card ? d->card : card_read)(l->name, ret);
}

/* Interrupts of a card that none of its receive queues has, by a part of their names. */
static bool is_of_no_queue(const char *action)
{
	static const char *const others[] = { "config", "mgm",	 "misc", "async", "ctrl",   "control",
					      "event",	"pages", "cmd",	 "other", "output", "-tx-" };

	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		if (strcasestr(action, others[i]))
			return true;
	return false;
}

/* Whether the interrupt's name has the interface's as a word: eth1 is not eth10. */
static bool names_interface(const char *action, const char *name)
{
	const char *at = strstr(action, name);

	return at && (at == action || !isalnum((unsigned char)at[-1])) && !isalnum((unsigned char)at[strlen(name)]);
}

/* Whether an interrupt is of the interface's device; the device of virtio is one below that of PCI. */
static bool is_of_device(const struct doctor *d, const struct link *l, const char *driver, unsigned number)
{
	char text[8];

	return doctor_read(d, text, sizeof(text), "/sys/class/net/%s/device/msi_irqs/%u", l->name, number) ||
	       (!strcmp(driver, "virtio_net") &&
		doctor_read(d, text, sizeof(text), "/sys/class/net/%s/device/../msi_irqs/%u", l->name, number));
}

unsigned card_interrupts(const struct doctor *d, const struct link *l, const char *driver, struct cpus *ret_cpus)
{
	bool shown = doctor_shown_in_sys(d, l);
	char path[256], line[16384];
	unsigned count = 0;

	*ret_cpus = (struct cpus){ 0 };
	snprintf(path, sizeof(path), "%s/proc/interrupts", d->root);

	FILE *f = fopen(path, "re");

	while (f && fgets(line, sizeof(line), f)) {
		const char *action;
		struct cpus cpus;
		unsigned number;

		line[strcspn(line, "\n")] = '\0';
		action = strrchr(line, ' ');
		action = action ? action + 1 : "";
		if (sscanf(line, "%u:", &number) != 1 || is_of_no_queue(action) || !strcmp(action, l->name) ||
		    !(names_interface(action, l->name) || (shown && is_of_device(d, l, driver, number))))
			continue;
		count++;
		if (cpus_read(d, &cpus, "/proc/irq/%u/effective_affinity_list", number))
			cpus_add(ret_cpus, &cpus);
	}
	if (f)
		fclose(f);
	return count;
}
