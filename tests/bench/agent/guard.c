// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the guard's table costs a packet that the kernel forwards: processor time of sending it through a gateway of
 * veth pairs to a namespace that throws it away, without the table and with it, in turn. All of it happens in the
 * sender's own thread, in the softirq of each send. Run in a terminal: build/tests/bench/agent/guard [ROUNDS]
 */
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <sched.h>
#include <stdbool.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

#include "guard/nft.h"

#define FLOWS	   64
#define BURST	   32
#define PACKETS	   9600U /* a measurement */
#define ROUNDS_MAX 1001
#define MAPPINGS   1000
#define FRAME	   60

static int namespace_of_sender, namespace_of_gateway, namespace_of_sink;

static int fail(const char *what)
{
	perror(what);
	exit(1);
}

static int namespace_new(void)
{
	if (unshare(CLONE_NEWNET))
		fail("unshare");
	return open("/proc/thread-self/ns/net", O_RDONLY);
}

static void enter(int namespace)
{
	if (setns(namespace, CLONE_NEWNET))
		fail("setns");
}

static void run(const char *format, ...)
{
	char command[1024];
	va_list ap;

	va_start(ap, format);
	vsnprintf(command, sizeof(command), format, ap);
	va_end(ap);
	if (system(command))
		fail(command);
}

static void set_up(void)
{
	namespace_of_sender = namespace_new();
	namespace_of_sink = namespace_new();
	namespace_of_gateway = namespace_new();
	run("ip link add in0 address 02:00:00:00:01:01 type veth peer name eth0 netns /proc/%d/fd/%d", getpid(),
	    namespace_of_sender);
	run("ip link add out0 type veth peer name eth0 netns /proc/%d/fd/%d", getpid(), namespace_of_sink);
	run("sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0");
	run("ip addr add 10.0.0.1/8 dev in0; ip addr add 198.51.100.1/24 dev out0; ip link set in0 up; ip link set "
	    "out0 up; ip neigh add 198.51.100.7 lladdr 02:00:00:00:02:07 dev out0");
	enter(namespace_of_sink);
	run("ip link set eth0 up");
	enter(namespace_of_sender);
	run("ip link set eth0 up");
}

/* Cases. */

struct bench_case {
	const char *name;
	size_t mappings; /* 0: no table */
	bool open;	 /* both interfaces have a role */
	double ns[ROUNDS_MAX];
};

static struct bench_case cases[] = {
	{ "no table" },
	{ "1 mapping, interfaces with a role", 1, true },
	{ "100 mappings, interfaces with a role", 100, true },
	{ "1000 mappings, interfaces with a role", 1000, true },
	{ "1 mapping, interfaces without", 1, false },
	{ "100 mappings, interfaces without", 100, false },
	{ "1000 mappings, interfaces without", 1000, false },
};

/* Mappings with gaps between them, so that they stay as many elements, and none with the sender's addresses. */
static void put_table(struct guard_nft *nft, const struct bench_case *c)
{
	static struct address_range inside[MAPPINGS];
	uint32_t index[] = { if_nametoindex("in0"), if_nametoindex("out0") };
	struct guard_rules rules = {
		.inside = inside, .n_inside = c->mappings, .interfaces = index, .n_interfaces = c->open ? 2 : 0
	};

	guard_table_name("/sys/fs/bpf/detnat", rules.table, rules.comment);
	for (uint32_t i = 0; i < c->mappings; i++)
		inside[i] = (struct address_range){ 0x64400000 + 512 * i, 0x644000ff + 512 * i };
	guard_nft_remove(nft, &rules);
	if (c->mappings && (errno = -guard_nft_write(nft, &rules)))
		fail("the table");
}

/* Packets. */

static uint8_t frames[FLOWS][FRAME];
static struct iovec parts[FLOWS];
static struct mmsghdr messages[FLOWS];

static uint16_t header_checksum(const void *header)
{
	const uint16_t *word = header;
	uint32_t sum = 0;

	for (int i = 0; i < 10; i++)
		sum += word[i];
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t) ~(sum + (sum >> 16));
}

static void make_frames(struct sockaddr_ll *to)
{
	static const uint8_t head[] = { 2, 0, 0, 0, 1, 1, 2, 0, 0, 0, 1, 9, 8, 0 };

	for (int i = 0; i < FLOWS; i++) {
		struct iphdr ip = { .version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_UDP };
		struct udphdr udp = { .source = htons((uint16_t)(1000 + i)), .dest = htons(53), .len = htons(26) };

		ip.tot_len = htons(FRAME - sizeof(head));
		ip.saddr = htonl(0x0a000100U + (uint32_t)i);
		ip.daddr = htonl(0xc6336407U);
		ip.check = header_checksum(&ip);
		memcpy(frames[i], head, sizeof(head));
		memcpy(frames[i] + 14, &ip, sizeof(ip));
		memcpy(frames[i] + 34, &udp, sizeof(udp));
		parts[i] = (struct iovec){ frames[i], FRAME };
		messages[i].msg_hdr = (struct msghdr){
			.msg_name = to, .msg_namelen = sizeof(*to), .msg_iov = &parts[i], .msg_iovlen = 1
		};
	}
}

static uint64_t thread_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

/* Packets that the sink's interface has seen. */
static uint64_t arrived(void)
{
	char line[512];
	unsigned long long octets, packets = 0;
	FILE *f;

	enter(namespace_of_sink);
	f = fopen("/proc/thread-self/net/dev", "r");
	while (f && fgets(line, sizeof(line), f))
		if (strstr(line, "eth0:"))
			sscanf(strchr(line, ':') + 1, "%llu %llu", &octets, &packets);
	if (f)
		fclose(f);
	enter(namespace_of_gateway);
	return packets;
}

static double measure(int s)
{
	uint64_t began = thread_ns();

	for (unsigned sent = 0; sent < PACKETS; sent += BURST)
		if (sendmmsg(s, messages + sent % FLOWS, BURST, 0) != BURST)
			fail("sendmmsg");
	return (double)(thread_ns() - began) / PACKETS;
}

/* Figures. */

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void report(int rounds)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct bench_case *c = &cases[i];

		qsort(c->ns, (size_t)rounds, sizeof(c->ns[0]), compare);
		printf("%-40s least %5.0f ns (%.3f)  median %5.0f ns (%.3f)\n", c->name, c->ns[0],
		       c->ns[0] / cases[0].ns[0], c->ns[rounds / 2], c->ns[rounds / 2] / cases[0].ns[rounds / 2]);
	}
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 101, s, one = 1;
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_halen = ETH_ALEN };
	struct guard_nft *nft;
	cpu_set_t processor;

	if (rounds < 1 || rounds > ROUNDS_MAX)
		return 2;
	CPU_ZERO(&processor);
	CPU_SET(0, &processor);
	sched_setaffinity(0, sizeof(processor), &processor);
	set_up();
	to.sll_ifindex = (int)if_nametoindex("eth0");
	s = socket(AF_PACKET, SOCK_RAW, 0);
	if (s < 0 || setsockopt(s, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one)))
		fail("socket");
	make_frames(&to);
	enter(namespace_of_gateway);
	if ((errno = -guard_nft_new(&nft)))
		fail("nf_tables");
	for (int round = -1; round < rounds; round++) {
		for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
			uint64_t before;
			double ns;

			put_table(nft, &cases[i]);
			measure(s); /* warms up */
			before = arrived();
			ns = measure(s);
			if (round < 0 && arrived() - before < PACKETS * 99 / 100)
				fail("packets were lost");
			cases[i].ns[round < 0 ? 0 : round] = ns;
		}
	}
	report(rounds);
	guard_nft_free(nft);
	return 0;
}
