/* SPDX-License-Identifier: BSD-2-Clause */
/* Links, drivers, offloads, receive queues and names of the interfaces. */
#include <ctype.h>
#include <linux/if_link.h>
#include <net/if_arp.h>
#include <string.h>
#include <unistd.h>

#include "attach/attach.h"
#include "diagnosis/doctor_private.h"
#include "diagnosis/doctor_xdp.h"
#include "host/offloads.h"

static bool any_up(const struct doctor *d, uint8_t roles)
{
	for (size_t i = 0; i < d->config->n_interfaces; i++) {
		const struct link *l = doctor_link(d, &d->config->interfaces[i]);

		if (l && d->config->interfaces[i].roles & roles && !link_down_reason(l))
			return true;
	}
	return false;
}

void doctor_links(struct doctor *d)
{
	unsigned found = 0;

	for (size_t i = 0; i < d->config->n_interfaces; i++) {
		const struct config_interface *c = &d->config->interfaces[i];
		const struct link *l = doctor_link(d, c);

		/* Of several interfaces with a role, some may be spare ones. */
		if (l && link_down_reason(l) && ++found)
			doctor_say(d, any_up(d, c->roles) ? DOCTOR_WARNING : DOCTOR_FAILURE, "%s: %s", l->name,
				   link_down_reason(l));
	}
	if (!found)
		doctor_say(d, DOCTOR_OK, "all interfaces are up");
}

/* XDP where it is to be had. native: it is wanted in the driver. */
static void say_driver(struct doctor *d, const struct link *l, bool native)
{
	char driver[DRIVER_NAME] = "no driver";
	uint64_t features;
	int r = xdp_features(l->ifindex, &features);

	driver_name(l->name, driver);
	if (r) /* before Linux 6.3 */
		doctor_say(d, DOCTOR_UNKNOWN,
			   "%s (%s): this kernel does not say what the driver can; 'detnatctl interface list' shows it "
			   "after the start",
			   l->name, driver);
	else if (!(features & XDP_FEATURE_BASIC))
		doctor_say(d, native ? DOCTOR_FAILURE : DOCTOR_WARNING, "%s (%s): the driver has no XDP; %s", l->name,
			   driver,
			   native ? "set 'xdp_mode' to 'auto' or 'skb'" : "generic XDP is used, which is slower");
	else if (!(features & XDP_FEATURE_TRANSMIT) && d->config->forwarding == FORWARDING_REDIRECT)
		doctor_say(d, DOCTOR_WARNING, "%s (%s): takes no frames from XDP now, so the kernel forwards to it%s",
			   l->name, driver,
			   !strcmp(l->kind, "veth") ? "; set 'ethtool -K PEER gro on' at its peer" : "");
	else
		doctor_say(d, DOCTOR_OK, "%s (%s): native XDP", l->name, driver);
}

static void say_foreign(struct doctor *d, const struct link *l, enum xdp_mode mode)
{
	bool wanted = mode != XDP_MODE_AUTO;

	doctor_say(d, wanted ? DOCTOR_FAILURE : DOCTOR_WARNING,
		   "%s: carries another XDP program, id %u: %s, or take the program off with 'ip link set %s xdp off'",
		   l->name, l->xdp.prog_id,
		   wanted ? "set 'xdp_mode' to 'auto', which does without XDP there"
			  : "detnat does without XDP there, and the kernel forwards; leave it so",
		   l->name);
}

static void say_xdp(struct doctor *d, const struct link *l, enum xdp_mode mode)
{
	if (mode == XDP_MODE_NONE)
		doctor_say(d, DOCTOR_OK, "%s: 'xdp_mode' is 'none': tc alone, the kernel forwards", l->name);
	else if (xdp_is_foreign(l))
		say_foreign(d, l, mode);
	else if (mode == XDP_MODE_AUTO && l->type != ARPHRD_ETHER)
		doctor_say(d, DOCTOR_OK, "%s: has no Ethernet header: tc alone, the kernel forwards", l->name);
	else if (mode == XDP_MODE_SKB)
		doctor_say(d, DOCTOR_WARNING, "%s: 'xdp_mode' is 'skb': generic XDP, which is slower", l->name);
	else
		say_driver(d, l, mode == XDP_MODE_NATIVE);
}

void doctor_xdp(struct doctor *d)
{
	for (size_t i = 0; i < d->config->n_interfaces; i++) {
		const struct link *l = doctor_link(d, &d->config->interfaces[i]);

		if (l)
			say_xdp(d, l, config_interface_mode(d->config, &d->config->interfaces[i]));
	}
}

void doctor_offloads(struct doctor *d)
{
	/* These offloads merge packets in the card, and XDP would see several packets as one. */
	static const char *const harmful[] = { OFFLOAD_LRO, OFFLOAD_GRO_HW };
	unsigned found = 0;

	for (size_t i = 0; i < d->config->n_interfaces; i++) {
		const char *name = d->config->interfaces[i].name;
		bool none = config_interface_mode(d->config, &d->config->interfaces[i]) == XDP_MODE_NONE;

		for (size_t k = 0; !none && k < ARRAY_SIZE(harmful); k++) {
			if (!offload_is_on(name, harmful[k]))
				continue;
			doctor_say(d, DOCTOR_WARNING,
				   "%s: the card merges packets before XDP sees them: ethtool -K %s %s off", name, name,
				   harmful[k]);
			found++;
		}
	}
	if (!found)
		doctor_say(d, DOCTOR_OK, "nothing merges packets before XDP sees them");
}

/*
 * The CPUs that handle an interface's interrupts, by /proc/interrupts and effective_affinity_list. Returns the number
 * of interrupts; *ret_cpus is that of different CPUs, up to 64.
 */
static unsigned interrupts(const struct doctor *d, const char *name, unsigned *ret_cpus)
{
	char path[256], line[8192];
	uint64_t cpus = 0;
	unsigned count = 0;

	snprintf(path, sizeof(path), "%s/proc/interrupts", d->root);

	FILE *f = fopen(path, "re");

	while (f && fgets(line, sizeof(line), f)) {
		const char *at = strstr(line, name);
		long long cpu;
		unsigned number;

		/* eth1 is not eth10. */
		if (!at || !isspace((unsigned char)at[-1]) || isalnum((unsigned char)at[strlen(name)]) ||
		    sscanf(line, "%u:", &number) != 1)
			continue;
		count++;
		if (doctor_read_number(d, &cpu, "/proc/irq/%u/effective_affinity_list", number) && cpu >= 0)
			cpus |= 1ULL << (cpu & 63);
	}
	if (f)
		fclose(f);
	*ret_cpus = (unsigned)__builtin_popcountll(cpus);
	return count;
}

static void say_queues(struct doctor *d, const struct link *l)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	uint32_t used, most;
	unsigned irqs, cpus;

	if (cores < 2) {
		doctor_say(d, DOCTOR_OK, "%s: one core does all", l->name);
		return;
	}
	if (!receive_queues(l->name, &used, &most) || !used) {
		doctor_say(d, DOCTOR_UNKNOWN, "%s: the driver does not say how many queues it has", l->name);
		return;
	}
	irqs = interrupts(d, l->name, &cpus);
	if (used == 1 && most > 1)
		doctor_say(d, DOCTOR_WARNING,
			   "%s: one receive queue, so one of %ld cores does all: ethtool -L %s combined %ld (or rx)",
			   l->name, cores, l->name, most < cores ? (long)most : cores);
	else if (irqs > 1 && cpus == 1)
		doctor_say(
			d, DOCTOR_WARNING,
			"%s: the interrupts of all %u queues go to one core; run irqbalance, or write other cores to "
			"/proc/irq/NUMBER/smp_affinity_list",
			l->name, irqs);
	else
		doctor_say(d, DOCTOR_OK, "%s: %u receive queue%s", l->name, used, used == 1 ? "" : "s");
}

void doctor_queues(struct doctor *d)
{
	for (size_t i = 0; i < d->config->n_interfaces; i++) {
		const struct link *l = doctor_link(d, &d->config->interfaces[i]);

		if (l)
			say_queues(d, l);
	}
}

/* name_assign_type: the kernel numbered it, so another order of discovery gives another number. */
#define NAME_ENUMERATED 1

/* Under `nsenter --net`, /sys/class/net is that of the network namespace in which /sys was mounted. */
static bool shown_in_sys(const struct doctor *d, const struct link *l)
{
	long long ifindex;

	return doctor_read_number(d, &ifindex, "/sys/class/net/%s/ifindex", l->name) &&
	       ifindex == (long long)l->ifindex;
}

void doctor_names(struct doctor *d)
{
	unsigned found = 0, unknown = 0;

	for (size_t i = 0; i < d->config->n_interfaces; i++) {
		const struct link *l = doctor_link(d, &d->config->interfaces[i]);
		const char *name = d->config->interfaces[i].name;
		long long type;

		if (!l)
			continue;
		if (!shown_in_sys(d, l)) {
			unknown++;
			continue;
		}
		if (!doctor_read_number(d, &type, "/sys/class/net/%s/name_assign_type", name) ||
		    type != NAME_ENUMERATED)
			continue;
		doctor_say(
			d, DOCTOR_WARNING,
			"%s: the kernel numbered it, so another boot may give the name to another interface; name it "
			"by a systemd.link(5) file with its MAC address",
			name);
		found++;
	}
	if (!found && unknown)
		doctor_say(d, DOCTOR_UNKNOWN, "/sys does not show all interfaces of this network namespace");
	else if (!found)
		doctor_say(d, DOCTOR_OK, "no interface has a name that another boot may give away");
}
