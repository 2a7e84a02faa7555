/* SPDX-License-Identifier: BSD-2-Clause */
/* The doctor's checks of queues, interrupts and CPUs, on made-up cards and files. */
#include <criterion/criterion.h>
#include <linux/if_link.h>
#include <string.h>

#include "diagnosis/doctor_cards.h"
#include "doctor_fixture.h"

#define MOST_FILES 16

struct row {
	const char *name;
	void (*check)(struct doctor *d);
	struct card in0, out0;
	const char *files[MOST_FILES][2]; /* path, content */
	enum doctor_level level;	  /* the worst that is said */
	const char *text;		  /* a part of what is said */
	const char *settings;		  /* further keys of the configuration */
	bool attached;			  /* the cards carry a native program already */
};

#define SHOWN                                        \
	{ "/sys/class/net/in0/ifindex", "3\n" },     \
	{                                            \
		"/sys/class/net/out0/ifindex", "4\n" \
	}
#define CPUS(list)                                          \
	{                                                   \
		"/sys/devices/system/cpu/online", list "\n" \
	}
#define IRQ(n, cpu)                                                   \
	{                                                             \
		"/proc/irq/" #n "/effective_affinity_list", #cpu "\n" \
	}
#define CARD(name, used, most)                                      \
	{                                                           \
		.driver = name, .queues = used, .most_queues = most \
	}
#define NO_CARD             \
	{                   \
		.queues = 0 \
	}
/* As drivers name them, with interrupts of no queue among them. */
#define INTERRUPTS                                                                                        \
	{                                                                                                 \
		"/proc/interrupts", "           CPU0       CPU1\n"                                        \
				    " 30:    1    0   PCI-MSI 1-edge      in0-TxRx-0\n"                   \
				    " 31:    1    0   PCI-MSI 2-edge      in0-TxRx-1\n"                   \
				    " 32:    1    0   PCI-MSI 3-edge      in0-TxRx-2\n"                   \
				    " 33:    1    0   PCI-MSI 4-edge      in0-TxRx-3\n"                   \
				    " 34:    1    0   PCI-MSI 5-edge      in0\n"                          \
				    " 35:    1    0   PCI-MSI 6-edge      in01-TxRx-0\n"                  \
				    " 36:    1    0   PCI-MSI 7-edge      mlx5_comp0@pci:0000:03:00.0\n"  \
				    " 37:    1    0   PCI-MSI 8-edge      mlx5_async0@pci:0000:03:00.0\n" \
				    "NMI:    0    0   Non-maskable interrupts\n"                          \
	}

static const struct row rows[] = {
	{ "one queue of eight",
	  doctor_queues,
	  CARD("ixgbe", 1, 8),
	  NO_CARD,
	  { CPUS("0-3") },
	  DOCTOR_WARNING,
	  "in0: one receive queue, so one of 4 cores does all the work: ethtool -L in0 combined 4" },
	{ "one queue of a guest that translates",
	  doctor_queues,
	  CARD("virtio_net", 1, 4),
	  NO_CARD,
	  { CPUS("0-3") },
	  DOCTOR_WARNING,
	  "ethtool -L in0 combined 4 (or rx), which virtio_net refuses while XDP is attached: before a start",
	  NULL,
	  true },
	{ "one core alone", doctor_queues, CARD("ixgbe", 1, 8), NO_CARD, { CPUS("0") }, DOCTOR_OK, "in0: one core" },
	{ "four queues on one core",
	  doctor_queues,
	  CARD("ixgbe", 4, 8),
	  CARD("ixgbe", 4, 8),
	  { CPUS("0-3"), INTERRUPTS, IRQ(30, 2), IRQ(31, 2), IRQ(32, 2), IRQ(33, 2), IRQ(34, 0) },
	  DOCTOR_WARNING,
	  "in0: the interrupts of all 4 queues go to one core" },
	{ "four queues on half of the cores",
	  doctor_queues,
	  CARD("ixgbe", 4, 8),
	  CARD("ixgbe", 4, 8),
	  { CPUS("0-3"), INTERRUPTS, IRQ(30, 2), IRQ(31, 2), IRQ(32, 3), IRQ(33, 3) },
	  DOCTOR_WARNING,
	  "in0: the interrupts of 4 queues go to 2 of 4 cores" },
	{ "a core for each queue",
	  doctor_queues,
	  CARD("ixgbe", 4, 8),
	  CARD("ixgbe", 4, 8),
	  { CPUS("0-3"), INTERRUPTS, IRQ(30, 0), IRQ(31, 1), IRQ(32, 2), IRQ(33, 3) },
	  DOCTOR_OK,
	  "in0: 4 receive queues" },
	{ "affinities that are no lists",
	  doctor_queues,
	  CARD("ixgbe", 4, 8),
	  CARD("ixgbe", 4, 8),
	  { CPUS("0-3"), INTERRUPTS, IRQ(30, x), IRQ(31, 5000), IRQ(32, 3 - 1), IRQ(33, ) },
	  DOCTOR_OK,
	  "in0: 4 receive queues" },
	{ "a driver without an answer, and no files at all",
	  doctor_queues,
	  NO_CARD,
	  NO_CARD,
	  { CPUS("0-3") },
	  DOCTOR_UNKNOWN,
	  "in0: the driver does not report" },
	{ "RSS to two of four queues",
	  doctor_rss,
	  { .queues = 4, .rss_queues = 2 },
	  { .queues = 4, .rss_queues = 4 },
	  { { NULL } },
	  DOCTOR_WARNING,
	  "in0: RSS distributes what arrives to 2 of 4 receive queues: ethtool -X in0 equal 4" },
	{ "RSS to all", doctor_rss, { .queues = 4, .rss_queues = 4 }, NO_CARD, { { NULL } }, DOCTOR_OK, "all receive" },
	{ "no RSS", doctor_rss, { .queues = 4 }, NO_CARD, { { NULL } }, DOCTOR_UNKNOWN, "no driver reports" },
	{ "an interrupt for each frame",
	  doctor_moderation,
	  { .driver = "ena", .moderates = true },
	  NO_CARD,
	  { { NULL } },
	  DOCTOR_WARNING,
	  "in0: an interrupt for each frame, as nothing moderates them: ethtool -C in0 adaptive-rx on" },
	{ "moderation for longer than it should",
	  doctor_moderation,
	  { .driver = "ice", .moderates = true, .rx_usecs = 1000 },
	  NO_CARD,
	  { { NULL } },
	  DOCTOR_WARNING,
	  "in0: a frame may wait 1000 us" },
	{ "moderation that adapts",
	  doctor_moderation,
	  { .driver = "ice", .moderates = true, .adaptive = true },
	  { .driver = "virtio_net", .moderates = true },
	  { { NULL } },
	  DOCTOR_OK,
	  "are moderated" },
	{ "no moderation known", doctor_moderation, NO_CARD, NO_CARD, { { NULL } }, DOCTOR_UNKNOWN, "no driver" },
	{ "fewer queues than CPUs, and no known interrupts",
	  doctor_transmit,
	  CARD("mlx5_core", 4, 16),
	  CARD("ixgbe", 4, 16),
	  { CPUS("0-7") },
	  DOCTOR_WARNING,
	  "in0 (mlx5_core): frames that XDP redirects to it on CPUs 4 to 7 are lost, as it has 4 queues: ethtool -L "
	  "in0 "
	  "combined 8" },
	{ "as many queues as CPUs",
	  doctor_transmit,
	  CARD("mlx5_core", 8, 16),
	  CARD("i40e", 8, 16),
	  { CPUS("0-7") },
	  DOCTOR_OK,
	  "as far as it is known" },
	{ "interrupts on the CPUs that have queues",
	  doctor_transmit,
	  CARD("i40e", 4, 16),
	  CARD("mlx5_core", 1, 16),
	  { CPUS("0-7"),
	    SHOWN,
	    INTERRUPTS,
	    IRQ(30, 0),
	    IRQ(31, 0),
	    IRQ(32, 0),
	    IRQ(33, 0),
	    IRQ(36, 0),
	    { "/sys/class/net/out0/device/msi_irqs/36", "msix\n" },
	    { "/sys/class/net/out0/device/msi_irqs/37", "msix\n" } },
	  DOCTOR_OK,
	  "as far as it is known" },
	{ "an interrupt on a CPU without a queue of the other card",
	  doctor_transmit,
	  CARD("i40e", 4, 16),
	  CARD("mlx5_core", 1, 16),
	  { CPUS("0-7"),
	    SHOWN,
	    INTERRUPTS,
	    IRQ(30, 0),
	    IRQ(31, 1),
	    IRQ(32, 2),
	    IRQ(33, 3),
	    IRQ(36, 0),
	    { "/sys/class/net/out0/device/msi_irqs/36", "msix\n" } },
	  DOCTOR_WARNING,
	  "out0 (mlx5_core): frames that XDP redirects to it on CPUs 1 to 3 are lost, as it has 1 queue: ethtool -L "
	  "out0 "
	  "combined 4" },
	{ "without redirects",
	  doctor_transmit,
	  CARD("mlx5_core", 1, 16),
	  CARD("i40e", 1, 16),
	  { CPUS("0-7") },
	  DOCTOR_OK,
	  "the kernel forwards",
	  "\"forwarding\": \"kernel\"," },
	{ "without XDP",
	  doctor_transmit,
	  CARD("mlx5_core", 1, 16),
	  CARD("i40e", 1, 16),
	  { CPUS("0-7") },
	  DOCTOR_OK,
	  "as far as it is known",
	  "\"xdp_mode\": \"none\"," },
	{ "a guest with as many queues as CPUs",
	  doctor_transmit,
	  CARD("virtio_net", 2, 2),
	  CARD("virtio_net", 2, 4),
	  { CPUS("0-1") },
	  DOCTOR_OK,
	  "as far as it is known" },
	{ "a guest with fewer queues than CPUs",
	  doctor_transmit,
	  CARD("virtio_net", 4, 4),
	  CARD("virtio_net", 2, 2),
	  { CPUS("0-3") },
	  DOCTOR_WARNING,
	  "out0 (virtio_net): 4 CPUs wait for each other at its 2 transmit queues when XDP sends: give the guest 4 "
	  "queues" },
	{ "a guest that leaves queues unused",
	  doctor_transmit,
	  CARD("virtio_net", 1, 4),
	  CARD("virtio_net", 4, 4),
	  { CPUS("0-3") },
	  DOCTOR_WARNING,
	  "in0 (virtio_net): 4 CPUs wait for each other at its 1 transmit queue when XDP sends: before the agent "
	  "starts, ethtool -L in0 combined 4" },
	{ "a guest with fewer queues than CPUs, some to be added",
	  doctor_transmit,
	  CARD("virtio_net", 2, 7),
	  CARD("virtio_net", 2, 6),
	  { CPUS("0-3"), { "/sys/devices/system/cpu/possible", "0-4\n" } },
	  DOCTOR_WARNING,
	  "out0 (virtio_net): 4 CPUs wait" },
	{ "queues that XDP has taken already",
	  doctor_transmit,
	  CARD("virtio_net", 3, 3),
	  CARD("virtio_net", 6, 6),
	  { CPUS("0-1"), { "/sys/devices/system/cpu/possible", "0-1\n" } },
	  DOCTOR_OK,
	  "as far as it is known",
	  NULL,
	  true },
	{ "queues of which XDP has got none",
	  doctor_transmit,
	  CARD("virtio_net", 3, 3),
	  CARD("virtio_net", 6, 6),
	  { CPUS("0-3") },
	  DOCTOR_WARNING,
	  "in0 (virtio_net): 4 CPUs wait",
	  NULL,
	  true },
	{ "a guest with twice as many",
	  doctor_transmit,
	  CARD("virtio_net", 2, 4),
	  CARD("virtio_net", 2, 4),
	  { CPUS("0-1") },
	  DOCTOR_OK,
	  "as far as it is known" },
	{ "a card whose queues XDP has taken",
	  doctor_removal,
	  CARD("virtio_net", 4, 4),
	  CARD("virtio_net", 2, 2),
	  { CPUS("0-1"), { "/sys/devices/system/cpu/possible", "0-1\n" } },
	  DOCTOR_OK,
	  "in0 (virtio_net): before it is taken out of the machine, detnatctl interface del in0 inside",
	  NULL,
	  true },
	{ "a card that has queues for XDP",
	  doctor_removal,
	  CARD("virtio_net", 2, 2),
	  CARD("virtio_net", 2, 4),
	  { CPUS("0-1") },
	  DOCTOR_OK,
	  "out0 (virtio_net): before it is taken out" },
	{ "cards that share queues with XDP, and of other drivers",
	  doctor_removal,
	  CARD("virtio_net", 2, 2),
	  CARD("vmxnet3", 2, 8),
	  { CPUS("0-1") },
	  DOCTOR_OK,
	  "no card is known" },
	{ "cards without XDP in the driver",
	  doctor_removal,
	  CARD("virtio_net", 2, 4),
	  CARD("virtio_net", 2, 4),
	  { CPUS("0-1") },
	  DOCTOR_OK,
	  "no card is known",
	  "\"xdp_mode\": \"skb\"," },
	{ "one queue without RPS, in generic XDP",
	  doctor_steering,
	  CARD("e1000e", 1, 1),
	  CARD("e1000e", 1, 1),
	  { CPUS("0-3"), SHOWN, { "/sys/class/net/in0/queues/rx-0/rps_cpus", "00\n" } },
	  DOCTOR_WARNING,
	  "write a mask of cores to /sys/class/net/in0/queues/rx-0/rps_cpus",
	  "\"xdp_mode\": \"skb\"," },
	{ "one queue with RPS",
	  doctor_steering,
	  CARD("e1000e", 1, 1),
	  CARD("e1000e", 1, 1),
	  { CPUS("0-3"), SHOWN, { "/sys/class/net/in0/queues/rx-0/rps_cpus", "00000000,0000000f\n" } },
	  DOCTOR_OK,
	  "suit",
	  "\"xdp_mode\": \"skb\"," },
	{ "transmit queues that no core has",
	  doctor_steering,
	  CARD("igb", 2, 2),
	  CARD("igb", 2, 2),
	  { CPUS("0-3"),
	    SHOWN,
	    { "/sys/class/net/out0/queues/tx-0/xps_cpus", "0\n" },
	    { "/sys/class/net/out0/queues/tx-1/xps_cpus", "0\n" } },
	  DOCTOR_WARNING,
	  "out0: cores share its 2 transmit queues",
	  "\"forwarding\": \"kernel\"," },
	{ "the same where XDP sends",
	  doctor_steering,
	  CARD("igb", 2, 2),
	  CARD("igb", 2, 2),
	  { CPUS("0-3"),
	    SHOWN,
	    { "/sys/class/net/out0/queues/tx-0/xps_cpus", "0\n" },
	    { "/sys/class/net/out0/queues/tx-1/xps_cpus", "0\n" } },
	  DOCTOR_OK,
	  "suit" },
	{ "files of another namespace",
	  doctor_steering,
	  NO_CARD,
	  NO_CARD,
	  { CPUS("0-3"), { "/sys/class/net/in0/ifindex", "2\n" } },
	  DOCTOR_UNKNOWN,
	  "/sys does not show all interfaces" },
	{ "interrupts away from the card's node",
	  doctor_numa,
	  CARD("ice", 4, 8),
	  NO_CARD,
	  { CPUS("0-7"),
	    SHOWN,
	    INTERRUPTS,
	    IRQ(30, 0),
	    IRQ(31, 4),
	    IRQ(32, 5),
	    IRQ(33, 1),
	    { "/sys/class/net/in0/device/numa_node", "1\n" },
	    { "/sys/devices/system/node/node1/cpulist", "4-7\n" } },
	  DOCTOR_WARNING,
	  "in0: the card is at NUMA node 1, and 2 of the 4 cores that its interrupts go to are not: write cores 4-7" },
	{ "interrupts at the card's node",
	  doctor_numa,
	  CARD("ice", 4, 8),
	  NO_CARD,
	  { CPUS("0-7"),
	    SHOWN,
	    INTERRUPTS,
	    IRQ(30, 7),
	    IRQ(31, 4),
	    IRQ(32, 5),
	    IRQ(33, 6),
	    { "/sys/class/net/in0/device/numa_node", "1\n" },
	    { "/sys/devices/system/node/node1/cpulist", "4-7\n" } },
	  DOCTOR_OK,
	  "at NUMA node 1" },
	{ "cards at two nodes",
	  doctor_numa,
	  NO_CARD,
	  NO_CARD,
	  { SHOWN,
	    { "/sys/class/net/in0/device/numa_node", "0\n" },
	    { "/sys/class/net/out0/device/numa_node", "1\n" } },
	  DOCTOR_WARNING,
	  "in0 is at NUMA node 0 and out0 at 1" },
	{ "one node of all",
	  doctor_numa,
	  NO_CARD,
	  NO_CARD,
	  { SHOWN, { "/sys/class/net/in0/device/numa_node", "-1\n" } },
	  DOCTOR_OK,
	  "no card belongs" },
	{ "a governor that saves power",
	  doctor_governor,
	  NO_CARD,
	  NO_CARD,
	  { CPUS("0-1"),
	    { "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "performance\n" },
	    { "/sys/devices/system/cpu/cpu1/cpufreq/scaling_governor", "schedutil\n" } },
	  DOCTOR_WARNING,
	  "governor schedutil on 1 of 2 cores" },
	{ "a processor that governs itself",
	  doctor_governor,
	  NO_CARD,
	  NO_CARD,
	  { CPUS("0"),
	    { "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave\n" },
	    { "/sys/devices/system/cpu/cpu0/cpufreq/scaling_driver", "intel_pstate\n" },
	    { "/sys/devices/system/cpu/cpu0/cpufreq/energy_performance_preference", "balance_performance\n" } },
	  DOCTOR_OK,
	  "for performance" },
	{ "a processor that governs itself to save power",
	  doctor_governor,
	  NO_CARD,
	  NO_CARD,
	  { CPUS("0"),
	    { "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave\n" },
	    { "/sys/devices/system/cpu/cpu0/cpufreq/scaling_driver", "intel_pstate\n" },
	    { "/sys/devices/system/cpu/cpu0/cpufreq/energy_performance_preference", "power\n" } },
	  DOCTOR_WARNING,
	  "governor powersave on 1 of 1 cores" },
	{ "no governors", doctor_governor, NO_CARD, NO_CARD, { CPUS("0-1") }, DOCTOR_OK, "does not govern" },
};

static const struct row *current;

static void made_up(const char *name, struct card *ret)
{
	*ret = strcmp(name, "in0") ? current->out0 : current->in0;
}

static struct config *configuration(const char *settings)
{
	struct config *c;
	struct error err;
	char json[512];

	snprintf(json, sizeof(json),
		 "{%s \"interfaces\": {\"inside\": [\"in0\"], \"outside\": [\"out0\"]},"
		 " \"mappings\": [{\"in\": \"10.0.0.0/18\", \"out\": \"1.1.1.0/30\"}]}",
		 settings ? settings : "");
	cr_assert_eq(config_parse(json, strlen(json), "test", &c, &err), 0, "%s", err.text);
	return c;
}

TestSuite(doctor_cards, .init = doctor_tree_begin, .fini = doctor_tree_end);

Test(doctor_cards, each_finding_names_what_to_mend)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct row *row = &rows[i];
		uint8_t attached = row->attached ? XDP_ATTACHED_DRV : XDP_ATTACHED_NONE;
		const struct link links[] = { { .ifindex = 3, .name = "in0", .xdp.attached = attached },
					      { .ifindex = 4, .name = "out0", .xdp.attached = attached } };
		_cleanup_config_ struct config *c = configuration(row->settings);
		struct doctor d = { .config = c,
				    .root = doctor_root,
				    .links = { links, ARRAY_SIZE(links) },
				    .card = made_up,
				    .report = doctor_collect };

		current = row;
		doctor_tree_clear();
		for (size_t k = 0; k < MOST_FILES && row->files[k][0]; k++)
			doctor_put(row->files[k][0], row->files[k][1]);
		row->check(&d);
		cr_expect_eq(doctor_worst(&d), row->level, "%s: said %s", row->name, doctor_said);
		cr_expect_not_null(strstr(doctor_said, row->text), "%s: said %s", row->name, doctor_said);
	}
}

Test(doctor_cards, a_vlan_and_a_bond_are_examined_by_their_cards)
{
	const struct link links[] = { { .ifindex = 3, .name = "in0", .kind = "vlan", .lower = 5 },
				      { .ifindex = 4, .name = "out0", .kind = "bond" },
				      { .ifindex = 5, .name = "eth1" },
				      { .ifindex = 6, .name = "eth2", .master = 4 },
				      { .ifindex = 7, .name = "eth3", .master = 4 } };
	_cleanup_config_ struct config *c = configuration(NULL);
	const struct doctor d = { .config = c, .links = { links, ARRAY_SIZE(links) } };
	struct card_link cards[MAX_CARDS];

	cr_assert_eq(cards_list(&d, cards), 3);
	cr_expect_str_eq(cards[0].link->name, "eth1");
	cr_expect_str_eq(cards[1].link->name, "eth2");
	cr_expect_str_eq(cards[2].link->name, "eth3");
}

Test(doctor_cards, lists_of_cpus)
{
	static const char *const bad[] = { "x", "1-", "-1", "3-1", "1,,2", "1 2", "4096", "0-99999999999" };
	struct cpus c;

	cr_expect(cpus_parse("0-3,8,1023", &c));
	cr_expect_eq(cpus_count(&c), 6);
	cr_expect_eq(cpus_highest(&c), 1023);
	cr_expect(cpus_has(&c, 8) && !cpus_has(&c, 4) && !cpus_has(&c, 5000));
	cr_expect(cpus_parse("", &c));
	cr_expect_eq(cpus_count(&c), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		cr_expect_not(cpus_parse(bad[i], &c), "%s", bad[i]);
		cr_expect_eq(cpus_count(&c), 0, "%s", bad[i]);
	}
}
