// SPDX-License-Identifier: BSD-2-Clause
#include "fixture_namespace.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "base/cleanup.h"
#include "fixture.h"

/* A program of a shell, or of each step a shell, would take longer than most tests. */
static void configure(const char *commands)
{
	FILE *ip = popen("exec ip -batch -", "we");

	cr_assert_not_null(ip, "%s", strerror(errno));
	fputs(commands, ip);
	for (unsigned host = 2; host <= 60; host++)
		fprintf(ip, "neigh add 10.0.0.%u lladdr 02:00:00:00:00:03 dev tin\n", host);
	cr_assert_eq(pclose(ip), 0, "the commands of ip(8) failed");
}

/* veth runs XDP programs for packets that a peer sends only with GRO, or with a program at the peer. */
static void switch_gro_on(const char *name)
{
	struct ethtool_value on = { ETHTOOL_SGRO, 1 };
	struct ifreq request = { .ifr_data = (char *)&on };
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	cr_assert(fd >= 0 && !ioctl(fd, SIOCETHTOOL, &request), "%s: GRO: %s", name, strerror(errno));
}

static void switch_forwarding_on(void)
{
	_cleanup_close_ int fd = open("/proc/sys/net/ipv4/ip_forward", O_WRONLY | O_CLOEXEC);

	cr_assert(fd >= 0 && write(fd, "1", 1) == 1, "ip_forward: %s", strerror(errno));
}

void namespace_make(void)
{
	cr_assert_eq(unshare(CLONE_NEWNET | CLONE_NEWNS), 0, "%s: the datapath tests need root", strerror(errno));
	cr_assert_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	cr_assert_eq(mount("sysfs", "/sys", "sysfs", 0, NULL), 0);
	cr_assert_eq(mount("bpf", "/sys/fs/bpf", "bpf", 0, NULL), 0);
	configure("link set lo up\n"
		  "link add tin address 02:00:00:00:00:01 type veth peer name pin\n"
		  "link add tout address 02:00:00:00:00:02 type veth peer name pout\n"
		  "link set tin up\nlink set pin up\nlink set tout up\nlink set pout up\n"
		  "addr add 10.0.0.1/24 dev tin\naddr add 198.51.100.1/24 dev tout\n"
		  "neigh add 198.51.100.7 lladdr 02:00:00:00:00:04 dev tout\n"
		  "route add default via 198.51.100.7\n");
	switch_gro_on("tin");
	switch_gro_on("pin");
	switch_gro_on("tout");
	switch_gro_on("pout");
	switch_forwarding_on();
	inside_ifindex = if_nametoindex("tin");
	outside_ifindex = if_nametoindex("tout");
}
