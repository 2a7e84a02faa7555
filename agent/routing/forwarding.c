/* SPDX-License-Identifier: BSD-2-Clause */
#include "routing/forwarding.h"

#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <unistd.h>

#include "base/base.h"
#include "base/log.h"

static bool is_zero(const char *path)
{
	char value = '1';

	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

	return fd >= 0 && read(fd, &value, 1) == 1 && value == '0';
}

bool forwarding_is_off(const char *name)
{
	char path[64 + IFNAMSIZ];

	snprintf(path, sizeof(path), "/proc/sys/net/ipv4/conf/%s/forwarding", name);
	return is_zero(path);
}

bool forwarding6_is_off(void)
{
	return is_zero("/proc/sys/net/ipv6/conf/all/forwarding");
}

void forwarding_warn(const char *name)
{
	log_warning("%s: the kernel does not forward packets that it receives; set net.ipv4.ip_forward=1 (or "
		    "net/ipv4/conf/%s/forwarding=1) with sysctl",
		    name, name);
}

void forwarding_check(const struct config *c)
{
	for (size_t k = 0; k < c->n_interfaces; k++)
		if (forwarding_is_off(c->interfaces[k].name))
			forwarding_warn(c->interfaces[k].name);
}
