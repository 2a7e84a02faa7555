// SPDX-License-Identifier: BSD-2-Clause
#include "e2e_conntrack.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libmnl/libmnl.h>

#include "base/address.h"
#include "base/base.h"
#include "e2e_gateway.h"
#include "e2e_netns.h"

/* Entries of a namespace that others, the packets in flight at a change for one, may take. */
#define SPARE 1024U

static uint64_t machine_value(const char *name)
{
	_cleanup_close_ int netns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	if (netns < 0)
		e2e_die(errno, "/proc/self/ns/net");
	return netns_sysctl_read(netns, name);
}

uint64_t conntrack_max(void)
{
	return machine_value("net/netfilter/nf_conntrack_max");
}

uint64_t conntrack_buckets(void)
{
	return machine_value("net/netfilter/nf_conntrack_buckets");
}

uint32_t conntrack_lanes(uint64_t entries)
{
	uint32_t lanes = 1;

	while (lanes < E2E_MAX_LANES && entries / lanes + SPARE > conntrack_max())
		lanes *= 2;
	return lanes;
}

/* Beside the rules: entries outlive the run. */
void conntrack_set_up(int netns, uint32_t hosts)
{
	_cleanup_free_ char *elements = NULL;
	size_t size;
	FILE *f = open_memstream(&elements, &size);
	static const char *timeouts[] = { "udp_timeout", "udp_timeout_stream", "tcp_timeout_time_wait" };
	char name[80];

	if (!f)
		e2e_die(ENOMEM, "rules");
	for (uint32_t h = 0; h < hosts; h += 1U << SHARING_SHIFT) {
		char in[ADDR_TEXT], out[ADDR_TEXT];

		fprintf(f, "%s%s : %s", h ? ", " : "", prefix_format(INSIDE_BASE + h, 32 - SHARING_SHIFT, in),
			addr_format(OUTSIDE_BASE + (h >> SHARING_SHIFT), out));
	}
	fclose(f);
	netns_command(netns,
		      "nft -f - <<'END'\n"
		      "table ip nat {\n"
		      "	map pool { type ipv4_addr : ipv4_addr; flags interval; elements = { %s }; }\n"
		      "	chain out { type nat hook postrouting priority srcnat; oifname out0 snat to ip saddr map "
		      "@pool; }\n"
		      "}\nEND",
		      elements);
	for (size_t i = 0; i < ARRAY_SIZE(timeouts); i++) {
		snprintf(name, sizeof(name), "net/netfilter/nf_conntrack_%s", timeouts[i]);
		netns_sysctl_write(netns, name, 3600);
	}
}

void conntrack_add_flowtable(int netns)
{
	netns_command(netns,
		      "nft -f - <<'END'\n"
		      "table ip fast {\n"
		      "	flowtable f { hook ingress priority filter; devices = { in0, out0 }; }\n"
		      "	chain forward { type filter hook forward priority filter; meta l4proto { tcp, udp } flow add "
		      "@f; }\n"
		      "}\nEND");
}

void conntrack_verify_checksums(int netns, bool verify)
{
	int r = netns_sysctl_write(netns, "net/netfilter/nf_conntrack_checksum", verify);

	if (r)
		e2e_die(r, "nf_conntrack_checksum");
}

uint64_t conntrack_count(int netns)
{
	return netns_sysctl_read(netns, "net/netfilter/nf_conntrack_count");
}

void conntrack_flush(int netns)
{
	_cleanup_close_ int before = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	char buffer[1024];
	struct nlmsghdr *h = mnl_nlmsg_put_header(buffer);
	struct mnl_socket *s;
	struct nfgenmsg *g;
	ssize_t n;

	netns_enter(netns);
	s = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	netns_enter(before);
	h->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	g = mnl_nlmsg_put_extra_header(h, sizeof(*g));
	g->nfgen_family = AF_INET;
	if (!s || mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) < 0 || mnl_socket_sendto(s, h, h->nlmsg_len) < 0)
		e2e_die(errno, "emptying the conntrack table");
	n = mnl_socket_recvfrom(s, buffer, sizeof(buffer));
	if (n < 0 || mnl_cb_run(buffer, (size_t)n, 0, 0, NULL, NULL) < 0)
		e2e_die(errno, "emptying the conntrack table");
	mnl_socket_close(s);
}
