/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/offloads.h"

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/base.h"

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
	struct {
		struct ethtool_sset_info info;
		uint32_t count;
	} set = { .info = { .cmd = ETHTOOL_GSSET_INFO, .sset_mask = 1ULL << ETH_SS_FEATURES } };

	if (ethtool(fd, name, &set) || !set.info.sset_mask || set.count > MAX_OFFLOADS)
		return -1;
	names = calloc(1, sizeof(*names) + (size_t)set.count * ETH_GSTRING_LEN);
	if (!names)
		return -1;
	names->cmd = ETHTOOL_GSTRINGS;
	names->string_set = ETH_SS_FEATURES;
	names->len = set.count;
	if (ethtool(fd, name, names))
		return -1;
	for (uint32_t i = 0; i < set.count; i++)
		if (!strncmp((const char *)names->data + (size_t)i * ETH_GSTRING_LEN, offload, ETH_GSTRING_LEN))
			return (int)i;
	return -1;
}

bool offload_is_on(const char *name, const char *offload)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct {
		struct ethtool_gfeatures header;
		struct ethtool_get_features_block block[MAX_OFFLOADS / WORD];
	} features = { .header = { .cmd = ETHTOOL_GFEATURES, .size = MAX_OFFLOADS / WORD } };
	int number = fd < 0 ? -1 : offload_number(fd, name, offload);

	if (number < 0 || ethtool(fd, name, &features))
		return false;
	return features.block[(unsigned)number / WORD].active >> ((unsigned)number % WORD) & 1;
}

bool driver_name(const char *name, char ret[static DRIVER_NAME])
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ethtool_drvinfo info = { .cmd = ETHTOOL_GDRVINFO };

	if (fd < 0 || ethtool(fd, name, &info))
		return false;
	snprintf(ret, DRIVER_NAME, "%s", info.driver);
	return true;
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
