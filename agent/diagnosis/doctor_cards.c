/* SPDX-License-Identifier: BSD-2-Clause */
/* Which CPUs work for which card: queues, RSS, interrupts, moderation, RPS, XPS, NUMA nodes and clock rates. */
#include <linux/if_link.h>
#include <string.h>

#include "base/base.h"
#include "diagnosis/doctor_cards.h"

static bool refuses_change(const struct link *l, const struct card *card)
{
	return !strcmp(card->driver, "virtio_net") && l->xdp.attached == XDP_ATTACHED_DRV;
}

static void say_queues(struct doctor *d, const struct link *l, const struct cpus *online)
{
	unsigned cores = cpus_count(online), irqs, cpus, possible;
	struct cpus of_irqs;
	struct card card;

	card_settings(d, l, &card);
	irqs = card_interrupts(d, l, card.driver, &of_irqs);
	cpus = cpus_count(&of_irqs);
	possible = irqs < cores ? irqs : cores;
	if (cores < 2)
		doctor_say(d, DOCTOR_OK, "%s: one core does all the work", l->name);
	else if (!card.queues)
		doctor_say(d, DOCTOR_UNKNOWN, "%s: the driver does not report its number of queues", l->name);
	else if (card.queues == 1 && card.most_queues > 1)
		doctor_say(d, DOCTOR_WARNING,
			   "%s: one receive queue, so one of %u cores does all the work: ethtool -L %s combined %u "
			   "(or rx)%s",
			   l->name, cores, l->name, card.most_queues < cores ? card.most_queues : cores,
			   refuses_change(l, &card) ? ", which virtio_net refuses while XDP is attached: before a "
						      "start, or after --detach, which ends NAT"
						    : "");
	else if (irqs > 1 && cpus == 1)
		doctor_say(
			d, DOCTOR_WARNING,
			"%s: the interrupts of all %u queues go to one core; run irqbalance, or write other cores to "
			"/proc/irq/NUMBER/smp_affinity_list",
			l->name, irqs);
	else if (cpus && cpus * 2 <= possible)
		doctor_say(d, DOCTOR_WARNING,
			   "%s: the interrupts of %u queues go to %u of %u cores; run irqbalance, or write a core for "
			   "each to /proc/irq/NUMBER/smp_affinity_list",
			   l->name, irqs, cpus, cores);
	else
		doctor_say(d, DOCTOR_OK, "%s: %u receive queue%s", l->name, card.queues, card.queues == 1 ? "" : "s");
}

void doctor_queues(struct doctor *d)
{
	struct card_link cards[MAX_CARDS];
	size_t n = cards_list(d, cards);
	struct cpus online;

	cpus_online(d, &online);
	for (size_t i = 0; i < n; i++)
		say_queues(d, cards[i].link, &online);
}

void doctor_rss(struct doctor *d)
{
	struct card_link cards[MAX_CARDS];
	size_t n = cards_list(d, cards);
	unsigned known = 0, found = 0;

	for (size_t i = 0; i < n; i++) {
		const char *name = cards[i].link->name;
		struct card card;

		card_settings(d, cards[i].link, &card);
		known += card.rss_queues && card.queues;
		if (!card.rss_queues || card.rss_queues >= card.queues)
			continue;
		doctor_say(d, DOCTOR_WARNING,
			   "%s: RSS distributes what arrives to %u of %u receive queues: ethtool -X %s equal %u", name,
			   card.rss_queues, card.queues, name, card.queues);
		found++;
	}
	if (!known)
		doctor_say(d, DOCTOR_UNKNOWN, "no driver reports an indirection table");
	else if (!found)
		doctor_say(d, DOCTOR_OK, "RSS distributes what arrives to all receive queues");
}

/* A delay that subscribers notice. */
#define LONG_DELAY_US 500U

void doctor_moderation(struct doctor *d)
{
	struct card_link cards[MAX_CARDS];
	size_t n = cards_list(d, cards);
	unsigned known = 0, found = 0;

	for (size_t i = 0; i < n; i++) {
		const char *name = cards[i].link->name;
		struct card card;

		card_settings(d, cards[i].link, &card);
		/* Of virtio, the host moderates. */
		if (!card.moderates || !strcmp(card.driver, "virtio_net"))
			continue;
		known++;
		if (!card.adaptive && !card.rx_usecs && card.rx_frames <= 1 && ++found)
			doctor_say(d, DOCTOR_WARNING,
				   "%s: an interrupt for each frame, as nothing moderates them: ethtool -C %s "
				   "adaptive-rx on, or rx-usecs 50",
				   name, name);
		else if (!card.adaptive && card.rx_usecs >= LONG_DELAY_US && ++found)
			doctor_say(d, DOCTOR_WARNING,
				   "%s: a frame may wait %u us for its interrupt, and overflow the queue: ethtool -C "
				   "%s adaptive-rx on, or rx-usecs 50",
				   name, card.rx_usecs, name);
	}
	if (!known)
		doctor_say(d, DOCTOR_UNKNOWN, "no driver reports it");
	else if (!found)
		doctor_say(d, DOCTOR_OK, "interrupts are moderated");
}

/* Drivers that give a CPU the transmit queue of its number for what XDP redirects, and lose the frame without one. */
static bool loses_without_queue(const char *driver)
{
	static const char *const drivers[] = { "mlx5_core", "i40e", "rvu_nicpf" };

	for (size_t i = 0; i < ARRAY_SIZE(drivers); i++)
		if (!strcmp(driver, drivers[i]))
			return true;
	return false;
}

/* The CPUs on which XDP programs of the cards run; all that are online if the interrupts of one are unknown. */
static void receiving_cpus(const struct doctor *d, const struct card_link *cards, size_t n, struct cpus *ret)
{
	struct cpus sum = { 0 };

	cpus_online(d, ret);
	for (size_t i = 0; i < n; i++) {
		struct card card;
		struct cpus cpus;

		card_settings(d, cards[i].link, &card);
		card_interrupts(d, cards[i].link, card.driver, &cpus);
		if (!cpus_count(&cpus))
			return;
		cpus_add(&sum, &cpus);
	}
	if (cpus_count(&sum))
		*ret = sum;
}

/*
 * Whether virtio_net gives XDP a transmit queue for each CPU. With a program it counts them as used; without one it has
 * to have as many left.
 */
static bool has_queues_of_xdp(const struct link *l, const struct card *card, unsigned cpus)
{
	return l->xdp.attached == XDP_ATTACHED_DRV ? card->queues > cpus : card->queues + cpus <= card->most_queues;
}

/* CPUs share transmit queues. With one for each CPU the lock is held by that CPU alone, so nothing is said. */
static void say_shared(struct doctor *d, const char *name, const struct card *card, unsigned cpus)
{
	char remedy[96];

	if (card->most_queues >= cpus)
		snprintf(remedy, sizeof(remedy), "before the agent starts, ethtool -L %s combined %u", name, cpus);
	else
		snprintf(remedy, sizeof(remedy), "give the guest %u queues", cpus);
	doctor_say(d, DOCTOR_WARNING,
		   "%s (virtio_net): %u CPUs wait for each other at its %u transmit queue%s when XDP sends: %s", name,
		   cpus, card->queues, card->queues == 1 ? "" : "s", remedy);
}

/* How many CPUs the machine may ever have, of which the kernel knows. */
static unsigned possible_cpus(const struct doctor *d)
{
	struct cpus cpus;

	if (!cpus_read(d, &cpus, "/sys/devices/system/cpu/possible"))
		cpus_online(d, &cpus);
	return cpus_highest(&cpus) + 1;
}

static bool runs_in_driver(const struct card_link *c)
{
	return !xdp_mode_is_without(c->mode) && c->mode != XDP_MODE_SKB;
}

void doctor_transmit(struct doctor *d)
{
	struct card_link cards[MAX_CARDS];
	size_t n = cards_list(d, cards);
	unsigned found = 0, possible = possible_cpus(d);
	struct cpus online, receiving;

	if (d->config->forwarding != FORWARDING_REDIRECT) {
		doctor_say(d, DOCTOR_OK, "XDP sends to no interface: the kernel forwards");
		return;
	}
	cpus_online(d, &online);
	receiving_cpus(d, cards, n, &receiving);
	for (size_t i = 0; i < n; i++) {
		const char *name = cards[i].link->name;
		unsigned highest = cpus_highest(&receiving), all = cpus_highest(&online) + 1;
		struct card card;

		card_settings(d, cards[i].link, &card);
		if (!card.queues || !runs_in_driver(&cards[i]))
			continue;
		if (loses_without_queue(card.driver) && card.queues <= highest && ++found)
			doctor_say(d, DOCTOR_WARNING,
				   "%s (%s): frames that XDP redirects to it on CPUs %u to %u are lost, as it has %u "
				   "queue%s: ethtool -L %s combined %u, or keep the receive interrupts of all cards "
				   "on CPUs below %u",
				   name, card.driver, card.queues, highest, card.queues, card.queues == 1 ? "" : "s",
				   name, highest + 1, card.queues);
		else if (!strcmp(card.driver, "virtio_net") && !has_queues_of_xdp(cards[i].link, &card, possible) &&
			 card.queues < all && ++found)
			say_shared(d, name, &card, all);
	}
	if (!found)
		doctor_say(d, DOCTOR_OK, "CPUs have the transmit queues that XDP needs, as far as it is known");
}

/*
 * A card of virtio that is removed while XDP has queues of its own: the driver lowers the number of receive queues when
 * the kernel no longer removes the others, which refer to the card, so that it waits for them until the next boot.
 */
void doctor_removal(struct doctor *d)
{
	struct card_link cards[MAX_CARDS];
	size_t n = cards_list(d, cards);
	unsigned found = 0, possible = possible_cpus(d);

	for (size_t i = 0; i < n; i++) {
		const struct link *l = cards[i].link;
		struct card card;

		card_settings(d, l, &card);
		if (strcmp(card.driver, "virtio_net") != 0 || !runs_in_driver(&cards[i]) ||
		    !has_queues_of_xdp(l, &card, possible))
			continue;
		doctor_say(d, DOCTOR_OK,
			   "%s (virtio_net): before it is taken out of the machine, detnatctl interface del %s inside "
			   "(or outside): with XDP attached the kernel does not let go of it until the next boot",
			   l->name, l->name);
		found++;
	}
	if (!found)
		doctor_say(d, DOCTOR_OK, "no card is known that the kernel would keep if it were removed");
}

/* Whether a mask such as "00000000,00000000" has no CPU. */
static bool mask_is_empty(const char *mask)
{
	return strspn(mask, "0,") == strlen(mask);
}

static void say_steering(struct doctor *d, const struct card_link *c, const struct cpus *online, unsigned *found)
{
	bool generic = !runs_in_driver(c);
	unsigned cores = cpus_count(online), unset = 0, queues = 0;
	const char *name = c->link->name;
	struct card card;
	char mask[512];

	card_settings(d, c->link, &card);
	if (generic && card.queues == 1 && card.most_queues <= 1 && cores > 1 &&
	    doctor_read(d, mask, sizeof(mask), "/sys/class/net/%s/queues/rx-0/rps_cpus", name) && mask_is_empty(mask) &&
	    ++*found)
		doctor_say(d, DOCTOR_WARNING,
			   "%s: its only receive queue keeps one of %u cores busy; without native XDP, RPS distributes "
			   "the work: write a mask of cores to /sys/class/net/%s/queues/rx-0/rps_cpus",
			   name, cores, name);
	if (d->config->forwarding == FORWARDING_REDIRECT && !generic)
		return;
	while (doctor_read(d, mask, sizeof(mask), "/sys/class/net/%s/queues/tx-%u/xps_cpus", name, queues)) {
		queues++;
		unset += mask_is_empty(mask);
	}
	if (queues > 1 && unset == queues && cores > 1 && ++*found)
		doctor_say(d, DOCTOR_WARNING,
			   "%s: cores share its %u transmit queues, as XPS gives them none of their own: write a mask "
			   "of cores to /sys/class/net/%s/queues/tx-NUMBER/xps_cpus",
			   name, queues, name);
}

void doctor_steering(struct doctor *d)
{
	struct card_link cards[MAX_CARDS];
	size_t n = cards_list(d, cards);
	unsigned found = 0, unknown = 0;
	struct cpus online;

	cpus_online(d, &online);
	for (size_t i = 0; i < n; i++)
		if (doctor_shown_in_sys(d, cards[i].link))
			say_steering(d, &cards[i], &online, &found);
		else
			unknown++;
	if (!found && unknown)
		doctor_say(d, DOCTOR_UNKNOWN, "/sys does not show all interfaces of this network namespace");
	else if (!found)
		doctor_say(d, DOCTOR_OK, "RPS and XPS suit the way packets go");
}

/* The NUMA node of a card, -1 if it has none. */
static long long node_of(const struct doctor *d, const struct link *l)
{
	long long node;

	if (!doctor_shown_in_sys(d, l))
		return -1;
	if (doctor_read_number(d, &node, "/sys/class/net/%s/device/numa_node", l->name) ||
	    doctor_read_number(d, &node, "/sys/class/net/%s/device/../numa_node", l->name))
		return node;
	return -1;
}

static void say_node(struct doctor *d, const struct link *l, long long node, unsigned *found)
{
	char list[1024] = "";
	struct cpus near, irqs;
	struct card card;

	card_settings(d, l, &card);
	if (!doctor_read(d, list, sizeof(list), "/sys/devices/system/node/node%lld/cpulist", node) ||
	    !cpus_parse(list, &near) || !cpus_count(&near) || !card_interrupts(d, l, card.driver, &irqs) ||
	    cpus_common(&irqs, &near) == cpus_count(&irqs))
		return;
	++*found;
	doctor_say(d, DOCTOR_WARNING,
		   "%s: the card is at NUMA node %lld, and %u of the %u cores that its interrupts go to are not: write "
		   "cores %s to /proc/irq/NUMBER/smp_affinity_list",
		   l->name, node, cpus_count(&irqs) - cpus_common(&irqs, &near), cpus_count(&irqs), list);
}

void doctor_numa(struct doctor *d)
{
	struct card_link cards[MAX_CARDS];
	size_t n = cards_list(d, cards);
	const struct link *first = NULL;
	long long first_node = -1;
	unsigned found = 0;

	for (size_t i = 0; i < n; i++) {
		long long node = node_of(d, cards[i].link);

		if (node < 0)
			continue;
		say_node(d, cards[i].link, node, &found);
		if (first && node != first_node && ++found)
			doctor_say(d, DOCTOR_WARNING,
				   "%s is at NUMA node %lld and %s at %lld, so each packet crosses between them: put "
				   "both cards in slots of one node",
				   first->name, first_node, cards[i].link->name, node);
		if (!first) {
			first = cards[i].link;
			first_node = node;
		}
	}
	if (!first)
		doctor_say(d, DOCTOR_OK, "no card belongs to a NUMA node");
	else if (!found)
		doctor_say(d, DOCTOR_OK, "cards and the cores that serve them are at NUMA node %lld", first_node);
}

/* Whether a CPU's clock follows the load, of which packets in interrupts are no part. */
static bool is_slow(const struct doctor *d, unsigned cpu, char governor[static 32])
{
	static const char base[] = "/sys/devices/system/cpu";
	char driver[32] = "", preference[32] = "";

	if (!doctor_read(d, governor, 32, "%s/cpu%u/cpufreq/scaling_governor", base, cpu) ||
	    !strcmp(governor, "performance"))
		return false;
	/* With these, the processor chooses the rate, by a preference. */
	doctor_read(d, driver, sizeof(driver), "%s/cpu%u/cpufreq/scaling_driver", base, cpu);
	if (strcmp(driver, "intel_pstate") && strcmp(driver, "amd-pstate-epp"))
		return true;
	doctor_read(d, preference, sizeof(preference), "%s/cpu%u/cpufreq/energy_performance_preference", base, cpu);
	return !strcmp(preference, "power") || !strcmp(preference, "balance_power");
}

void doctor_governor(struct doctor *d)
{
	char governor[32], example[32] = "";
	unsigned slow = 0, known = 0;
	struct cpus online;

	cpus_online(d, &online);
	for (unsigned cpu = 0; cpu < MAX_CPUS; cpu++) {
		if (!cpus_has(&online, cpu))
			continue;
		governor[0] = '\0';
		if (is_slow(d, cpu, governor) && !slow++)
			snprintf(example, sizeof(example), "%s", governor);
		known += !!governor[0];
	}
	if (slow)
		doctor_say(d, DOCTOR_WARNING,
			   "governor %s on %u of %u cores: their clock may be low when packets arrive: cpupower "
			   "frequency-set -g performance",
			   example, slow, cpus_count(&online));
	else if (known)
		doctor_say(d, DOCTOR_OK, "clock rates are those for performance");
	else
		doctor_say(d, DOCTOR_OK, "the kernel does not govern clock rates here");
}
