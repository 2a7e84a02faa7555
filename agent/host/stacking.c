/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/stacking.h"

#include <linux/ethtool.h>
#include <linux/if_ether.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <detnat/tables.h>

#include "base/base.h"

/* Deeper than real stacks; the kernel's own limit is 8. */
#define MAX_DEPTH 8

static bool is_one_of(const char *kind, const char *const *kinds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(kind, kinds[i]))
			return true;
	return false;
}

bool link_is_stacked(const struct link *l)
{
	static const char *const kinds[] = { "vlan", "bridge", "bond", "team", "macvlan", "macsec", "ipvlan", "hsr" };

	return is_one_of(l->kind, kinds, ARRAY_SIZE(kinds));
}

bool link_is_vlan(const struct link *l)
{
	return !strcmp(l->kind, "vlan");
}

const struct link *link_find(const struct link_list *all, uint32_t ifindex)
{
	for (size_t i = 0; ifindex && i < all->count; i++)
		if (all->link[i].ifindex == ifindex)
			return &all->link[i];
	return NULL;
}

const struct link *vlan_carrier(const struct link_list *all, const struct link *vlan)
{
	const struct link *l = vlan;

	for (unsigned tags = 0; l && link_is_vlan(l); tags++) {
		if (tags == MAX_VLAN_TAGS)
			return NULL;
		l = link_find(all, l->lower);
	}
	return l;
}

/* Iterates over the interfaces directly below another; *position begins at 0. NULL after the last. */
static const struct link *next_below(const struct link_list *all, const struct link *l, size_t *position)
{
	/* A veth reports its peer as its lower interface. */
	uint32_t lower = link_is_stacked(l) ? l->lower : 0;

	while (*position < all->count) {
		const struct link *below = &all->link[(*position)++];

		if (below->ifindex != l->ifindex && (below->ifindex == lower || below->master == l->ifindex))
			return below;
	}
	return NULL;
}

static bool stands_on(const struct link_list *all, const struct link *upper, const struct link *lower, bool shown,
		      int depth)
{
	static const char *const hiding[] = { "vlan", "macsec" };
	const struct link *below;
	size_t position = 0;

	if (depth == MAX_DEPTH || (shown && is_one_of(upper->kind, hiding, ARRAY_SIZE(hiding))))
		return false;
	while ((below = next_below(all, upper, &position)))
		if (below->ifindex == lower->ifindex || stands_on(all, below, lower, shown, depth + 1))
			return true;
	return false;
}

bool link_stands_on(const struct link_list *all, const struct link *upper, const struct link *lower)
{
	return stands_on(all, upper, lower, false, 0);
}

bool link_shows_in(const struct link_list *all, const struct link *upper, const struct link *lower)
{
	return stands_on(all, upper, lower, true, 0);
}

static unsigned height(const struct link_list *all, const struct link *l, unsigned depth)
{
	const struct link *below;
	unsigned highest = 0;
	size_t position = 0;

	while (depth < MAX_DEPTH && (below = next_below(all, l, &position))) {
		unsigned h = 1 + height(all, below, depth + 1);

		highest = h > highest ? h : highest;
	}
	return highest;
}

unsigned link_height(const struct link_list *all, const struct link *l)
{
	return height(all, l, 0);
}

/* The first interface at the bottom of the stack whose offload is on. */
static const struct link *search(const struct link_list *all, const struct link *l, int depth, const char *offload)
{
	const struct link *below, *found;
	bool bottom = true;
	size_t position = 0;

	if (depth == MAX_DEPTH)
		return NULL;
	while ((below = next_below(all, l, &position))) {
		bottom = false;
		found = search(all, below, depth + 1, offload);
		if (found)
			return found;
	}
	return bottom && offload_is_on(l->name, offload) ? l : NULL;
}

const char *vlan_offload(const struct link_list *all, const struct link *vlan)
{
	const struct link *l = vlan, *lower;

	for (unsigned tags = 0; tags < MAX_VLAN_TAGS; tags++, l = lower) {
		lower = link_find(all, l->lower);
		if (!lower || !link_is_vlan(lower))
			break;
	}
	return l->vlan_tpid == ETH_P_8021AD ? OFFLOAD_SERVICE_VLAN : OFFLOAD_VLAN;
}

const struct link *tags_taken_by(const struct link_list *all, const struct link *carrier, const char *offload)
{
	return search(all, carrier, 0, offload);
}

const struct link *merged_by(const struct link_list *all, const struct link *l)
{
	const struct link *by = link_is_stacked(l) ? search(all, l, 0, OFFLOAD_GRO) : NULL;

	return by && by->ifindex != l->ifindex ? by : NULL;
}

/* More than any kernel has; a multiple of 32. */
#define MAX_OFFLOADS 256U
#define WORD	     32U

static int ethtool(int fd, const char *name, void *command)
{
	struct ifreq request = { .ifr_data = command };

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	return ioctl(fd, SIOCETHTOOL, &request);
}

/* Number of an offload, which differs between kernels, or -1. */
static int offload_number(int fd, const char *name, const char *offload)
{
	_cleanup_free_ struct ethtool_gstrings *names = NULL;
	union {
		struct ethtool_sset_info info; /* and then the count */
		uint8_t room[sizeof(struct ethtool_sset_info) + sizeof(uint32_t)];
	} set = { .info = { .cmd = ETHTOOL_GSSET_INFO, .sset_mask = 1ULL << ETH_SS_FEATURES } };

	if (ethtool(fd, name, &set) || !set.info.sset_mask || set.info.data[0] > MAX_OFFLOADS)
		return -1;
	names = calloc(1, sizeof(*names) + (size_t)set.info.data[0] * ETH_GSTRING_LEN);
	if (!names)
		return -1;
	names->cmd = ETHTOOL_GSTRINGS;
	names->string_set = ETH_SS_FEATURES;
	names->len = set.info.data[0];
	if (ethtool(fd, name, names))
		return -1;
	for (uint32_t i = 0; i < set.info.data[0]; i++)
		if (!strncmp((const char *)names->data + (size_t)i * ETH_GSTRING_LEN, offload, ETH_GSTRING_LEN))
			return (int)i;
	return -1;
}

bool offload_is_on(const char *name, const char *offload)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	union {
		struct ethtool_gfeatures header; /* and then the blocks */
		uint8_t room[sizeof(struct ethtool_gfeatures) +
			     MAX_OFFLOADS / WORD * sizeof(struct ethtool_get_features_block)];
	} features = { .header = { .cmd = ETHTOOL_GFEATURES, .size = MAX_OFFLOADS / WORD } };
	int number = fd < 0 ? -1 : offload_number(fd, name, offload);

	if (number < 0 || ethtool(fd, name, &features))
		return false;
	return features.header.features[(unsigned)number / WORD].active >> ((unsigned)number % WORD) & 1;
}

bool driver_and_place(const char *name, char ret[static DRIVER_NAME], char ret_place[static DRIVER_PLACE])
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ethtool_drvinfo info = { .cmd = ETHTOOL_GDRVINFO };

	if (fd < 0 || ethtool(fd, name, &info))
		return false;
	snprintf(ret, DRIVER_NAME, "%s", info.driver);
	snprintf(ret_place, DRIVER_PLACE, "%s", info.bus_info);
	return true;
}

bool driver_name(const char *name, char ret[static DRIVER_NAME])
{
	char place[DRIVER_PLACE];

	return driver_and_place(name, ret, place);
}

bool receive_queues(const char *name, uint32_t *ret_used, uint32_t *ret_most)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ethtool_channels channels = { .cmd = ETHTOOL_GCHANNELS };

	if (fd < 0 || ethtool(fd, name, &channels))
		return false;
	*ret_used = channels.rx_count + channels.combined_count;
	*ret_most = channels.max_rx + channels.max_combined;
	return true;
}

/* Of mlx5 with many queues; others have 128 or 512. */
#define MAX_RSS_TABLE 8192U

/* Number of different queues in the indirection table; 0: unknown. */
static uint32_t rss_queues(int fd, const char *name)
{
	struct ethtool_rxfh_indir size = { .cmd = ETHTOOL_GRXFHINDIR };
	_cleanup_free_ struct ethtool_rxfh_indir *table = NULL;
	_cleanup_free_ bool *seen = NULL;
	uint32_t count = 0;

	if (ethtool(fd, name, &size) || !size.size || size.size > MAX_RSS_TABLE)
		return 0;
	table = calloc(1, sizeof(*table) + size.size * sizeof(table->ring_index[0]));
	seen = calloc(MAX_RSS_TABLE, sizeof(*seen));
	if (!table || !seen)
		return 0;
	table->cmd = ETHTOOL_GRXFHINDIR;
	table->size = size.size;
	if (ethtool(fd, name, table))
		return 0;
	for (uint32_t i = 0; i < size.size; i++) {
		uint32_t queue = table->ring_index[i];

		count += queue < MAX_RSS_TABLE && !seen[queue];
		seen[queue % MAX_RSS_TABLE] = true;
	}
	return count;
}

void card_read(const char *name, struct card *ret)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ethtool_coalesce moderation = { .cmd = ETHTOOL_GCOALESCE };

	*ret = (struct card){ 0 };
	if (fd < 0)
		return;
	driver_name(name, ret->driver);
	receive_queues(name, &ret->queues, &ret->most_queues);
	ret->rss_queues = rss_queues(fd, name);
	if (ethtool(fd, name, &moderation))
		return;
	ret->moderates = true;
	ret->adaptive = moderation.use_adaptive_rx_coalesce;
	ret->rx_usecs = moderation.rx_coalesce_usecs;
	ret->rx_frames = moderation.rx_max_coalesced_frames;
}
