// SPDX-License-Identifier: BSD-2-Clause
/* The readers of traffic, line by line. */
#include <criterion/criterion.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <detnat/session.h>

#include "base/base.h"
#include "traffic/traffic.h"

#define TAKEN	 1700000000000LL /* 2023-11-14T22:13:20Z */
#define MAX_SEEN 16

struct seen {
	struct traffic_flow flow[MAX_SEEN];
	unsigned n;
	struct traffic_notes notes;
	struct error err;
	int result;
};

static int see(void *arg, const struct traffic_flow *flow)
{
	struct seen *s = arg;

	if (s->n < MAX_SEEN)
		s->flow[s->n] = *flow;
	s->n++;
	return 0;
}

static void read_octets(const void *text, size_t size, struct seen *s)
{
	int fd = memfd_create("traffic", 0);

	*s = (struct seen){ 0 };
	cr_assert_eq(write(fd, text, size), (ssize_t)size);
	cr_assert_eq(lseek(fd, 0, SEEK_SET), 0);
	s->result = traffic_read(fd, "FILE", TAKEN, see, s, &s->notes, &s->err);
	close(fd);
}

static void read_text(const char *text, struct seen *s)
{
	read_octets(text, strlen(text), s);
}

/* A flow as a text: PROTO SRC DST OUT STATE FIRST LAST, the times from TAKEN on in milliseconds. */
static const char *show(const struct traffic_flow *f, char text[static 160])
{
	snprintf(text, 160, "%u %x:%u %x:%u %x:%u state %u timer %u %lld..%lld%s", f->proto, f->src, f->sport, f->dst,
		 f->dport, f->out_addr, f->out_port, f->state, f->timer, (long long)(f->first_ms - TAKEN),
		 (long long)(f->timer ? f->last_ms : f->last_ms - TAKEN), f->exact ? " exact" : "");
	return text;
}

struct row {
	const char *name, *text;
	const char *flow[4];
	unsigned garbage, other;
};

static void run(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct seen s;
		unsigned k = 0;
		char text[160];

		read_text(rows[i].text, &s);
		cr_expect_eq(s.result, 0, "%s: %s", rows[i].name, s.err.text);
		for (; k < 4 && rows[i].flow[k]; k++)
			if (k < s.n)
				cr_expect_str_eq(show(&s.flow[k], text), rows[i].flow[k], "%s: %s, not %s",
						 rows[i].name, text, rows[i].flow[k]);
		cr_expect_eq(s.n, k, "%s: %u flows, not %u", rows[i].name, s.n, k);
		cr_expect_eq(s.notes.garbage, rows[i].garbage, "%s: %llu lines not understood, first %s", rows[i].name,
			     (unsigned long long)s.notes.garbage, s.notes.named[0].text);
		cr_expect_eq(s.notes.other, rows[i].other, "%s: %llu others", rows[i].name,
			     (unsigned long long)s.notes.other);
	}
}

Test(traffic, connection_tables_of_linux_are_read_in_their_three_forms)
{
	static const struct row rows[] = {
		{ "conntrack -L",
		  "tcp      6 431999 ESTABLISHED src=100.64.0.0 dst=8.8.8.8 sport=40000 dport=443 src=8.8.8.8 "
		  "dst=198.51.100.1 sport=443 dport=50000 [ASSURED] mark=0 use=1\n",
		  { "6 64400000:40000 8080808:443 c6336401:50000 state 8 timer 1 0..431999000" } },
		{ "-o extended, with accounting",
		  "ipv4     2 tcp      6 100 TIME_WAIT src=100.64.0.1 dst=8.8.8.8 sport=1 dport=2 packets=3 bytes=4 "
		  "src=8.8.8.8 dst=198.51.100.1 sport=2 dport=3 packets=5 bytes=6 [ASSURED] mark=0 use=1\r\n",
		  { "6 64400001:1 8080808:2 c6336401:3 state 13 timer 7 0..100000" } },
		{ "/proc/net/nf_conntrack, unreplied UDP",
		  "ipv4     2 udp      17 29 src=100.64.0.1 dst=9.9.9.9 sport=7 dport=53 [UNREPLIED] src=9.9.9.9 "
		  "dst=198.51.100.1 sport=53 dport=7 mark=0 zone=0 use=2\n",
		  { "17 64400001:7 9090909:53 c6336401:7 state 2 timer 9 0..29000" } },
		{ "ICMP has its identifier",
		  "icmp     1 29 src=100.64.0.1 dst=9.9.9.9 type=8 code=0 id=77 src=9.9.9.9 dst=198.51.100.1 type=0 "
		  "code=0 id=78 mark=0 use=1\n",
		  { "1 64400001:77 9090909:0 c6336401:78 state 3 timer 11 0..29000" } },
		{ "other protocols and IPv6 are counted",
		  "ipv4     2 gre      47 179 src=100.64.0.1 dst=9.9.9.9 srckey=0x0 dstkey=0x0 src=9.9.9.9 "
		  "dst=1.1.1.1\n"
		  "ipv6     10 udp      17 29 src=fe80::1 dst=fe80::2 sport=7 dport=53 src=fe80::2 dst=fe80::1\n"
		  "udp      17 29 src=fe80::1 dst=fe80::2 sport=7 dport=53 src=fe80::2 dst=fe80::1\n",
		  { NULL },
		  0,
		  3 },
		{ "lines that are cut are not understood",
		  "udp      17 29 src=100.64.0.1 dst=9.9.9.9 sport=7 dport=53\nudp      17 29 src=100.64.0.1\n"
		  "tcp      6 99 NEWSTATE src=100.64.0.1 dst=9.9.9.9 sport=7 dport=53\nudp 17 x src=1.1.1.1 "
		  "dst=2.2.2.2\ntcp      6 99 ESTABLISHED src=100.64.0.1 dst=9.9.9.9 sport=7\n"
		  "icmp     1 29 src=100.64.0.1 dst=9.9.9.9 type=8 code=0\n",
		  { "17 64400001:7 9090909:53 0:0 state 2 timer 9 0..29000" },
		  5 },
	};

	run(rows, ARRAY_SIZE(rows));
}

Test(traffic, connection_lists_of_routeros_are_read_of_both_versions)
{
	static const struct row rows[] = {
		{ "terse, version 6",
		  " 0  SAC  protocol=tcp src-address=100.64.0.5:32815 dst-address=8.8.8.8:443 "
		  "reply-src-address=8.8.8.8:443 reply-dst-address=198.51.100.1:5034 tcp-state=established "
		  "timeout=23h49m47s orig-packets=5 orig-bytes=1 804\n",
		  { "6 64400005:32815 8080808:443 c6336401:5034 state 8 timer 1 0..85787000" } },
		{ "terse, version 7",
		  "12 SAC s protocol=udp src-address=100.64.0.5 src-port=56454 dst-address=8.8.4.4 dst-port=53 "
		  "reply-dst-address=198.51.100.1 reply-dst-port=5040 timeout=2m59s\n",
		  { "17 64400005:56454 8080404:53 c6336401:5040 state 2 timer 10 0..179000" } },
		{ "detail breaks lines",
		  "Flags: E - expected, S - seen-reply, A - assured, C - confirmed\n"
		  " 0  SAC  protocol=tcp src-address=100.64.0.5:1000 dst-address=8.8.8.8:443\n"
		  "         reply-dst-address=198.51.100.1:5034 tcp-state=time-wait\n"
		  "         timeout=5s orig-rate=0bps\n\n"
		  " 1   C   protocol=udp src-address=100.64.0.6:1000 dst-address=8.8.8.8:53 timeout=9s\n",
		  { "6 64400005:1000 8080808:443 c6336401:5034 state 13 timer 7 0..5000",
		    "17 64400006:1000 8080808:53 0:0 state 2 timer 9 0..9000" } },
		{ "other protocols, and an entry without a timeout",
		  " 0 SAC protocol=gre src-address=100.64.0.5 dst-address=8.8.8.8 timeout=9s\n"
		  " 1 SAC protocol=tcp src-address=100.64.0.5:1 dst-address=8.8.8.8:2 tcp-state=established\n",
		  { NULL },
		  1,
		  1 },
	};

	run(rows, ARRAY_SIZE(rows));
}

Test(traffic, flows_of_nfdump_are_read_by_the_names_of_columns)
{
	static const struct row rows[] = {
		{ "1.6, and its summary",
		  "ts,te,td,sa,da,sp,dp,pr,flg,fwd,stos,ipkt,ibyt,opkt,obyt\n"
		  "2023-11-14 22:13:20,2023-11-14 "
		  "22:13:22,2.000,100.64.0.2,8.8.8.8,40000,443,TCP,...A..SF,0,0,2,80,0,0\n"
		  "2023-11-14 22:13:21,2023-11-14 "
		  "22:13:21,0.000,100.64.0.3,1.1.1.1,40001,53,UDP,........,0,0,1,28,0,0\n"
		  "Summary\nflows,bytes,packets,avg_bps,avg_pps,avg_bpp\n3,148,4,394,1,37\n",
		  { "6 64400002:40000 8080808:443 0:0 state 13 timer 0 0..2000",
		    "17 64400003:40001 1010101:53 0:0 state 2 timer 0 1000..1000" } },
		{ "1.7, protocols as numbers, in another order",
		  "proto,firstSeen,duration,srcAddr,srcPort,dstAddr,dstPort,packets,bytes\n"
		  "6,2023-11-14 22:13:20.250,1.500,100.64.0.2,1,8.8.8.8,2,9,9\n"
		  "17,2023-11-14 22:13:20.000,00:01:00.000,100.64.0.2,1,8.8.8.8,2,9,9\n"
		  "47,2023-11-14 22:13:20.000,0.000,100.64.0.2,0,8.8.8.8,0,9,9\n"
		  "17,2023-11-14 22:13:20.000,0.000,2001:db8::1,0,2001:db8::2,0,9,9\n"
		  "6,yesterday,0.000,100.64.0.2,1,8.8.8.8,2,9,9\n"
		  "6,2023-11-14 22:13:20.000,0.000,100.64.0.2,99999,8.8.8.8,2,9,9\n",
		  { "6 64400002:1 8080808:2 0:0 state 8 timer 0 250..1750",
		    "17 64400002:1 8080808:2 0:0 state 2 timer 0 0..60000" },
		  2,
		  2 },
		{ "a SYN without an answer, a reset",
		  "ts,te,td,sa,da,sp,dp,pr,flg\n"
		  "2023-11-14 22:13:20,2023-11-14 22:13:20,0.0,100.64.0.2,8.8.8.8,1,2,TCP,......S.\n"
		  "2023-11-14 22:13:20,2023-11-14 22:13:20,0.0,100.64.0.2,8.8.8.8,1,2,TCP,...A.RS.\n",
		  { "6 64400002:1 8080808:2 0:0 state 4 timer 0 0..0",
		    "6 64400002:1 8080808:2 0:0 state 70 timer 0 0..0" } },
		{ "an empty answer", "ts,te,td,sa,da,sp,dp,pr,flg\nNo matching flows\n", { NULL } },
	};

	run(rows, ARRAY_SIZE(rows));
}

Test(traffic, nat_events_become_sessions_from_their_beginning_to_their_end)
{
	static const struct row rows[] = {
		{ "-o nel",
		  "Event time               Event Proto      Src IP Addr:Port          Dst IP Addr:Port     X-Src IP "
		  "Addr:Port        X-Dst IP Addr:Port \n"
		  "2023-11-14 22:13:20.000 CREATE TCP       100.64.0.2:32779 ->   148.251.238.36:80       "
		  "188.168.5.178:9452  "
		  "->   148.251.238.36:80\n"
		  "2023-11-14 22:13:21.000    ADD UDP       100.64.0.3:1 ->   8.8.8.8:53       188.168.5.178:2  ->   "
		  "8.8.8.8:53\n"
		  "2023-11-14 22:13:25.000 DELETE TCP       100.64.0.2:32779 ->   148.251.238.36:80       "
		  "188.168.5.178:9452  "
		  "->   148.251.238.36:80\n"
		  "Summary: total flows: 3, total bytes: 148\n",
		  { "6 64400002:32779 94fbee24:80 bca805b2:9452 state 8 timer 0 0..5000 exact",
		    "17 64400003:1 8080808:53 bca805b2:2 state 2 timer 0 1000..5000 exact" } },
		{ "an end without its beginning counts where it ends",
		  "Event time               Event  XEvent Proto      Src IP Addr:Port          Dst IP Addr:Port     "
		  "X-Src IP "
		  "Addr:Port        X-Dst IP Addr:Port   In Byte Out Byte\n"
		  "2023-11-14 22:13:20.000 DELETE  Ignore TCP       100.64.0.2:1 ->   8.8.8.8:80       1.1.1.1:9452  "
		  "->   "
		  "8.8.8.8:80  0  0\n"
		  "2023-11-14 22:13:20.000 INVALID  Ignore TCP       100.64.0.2:1 ->   8.8.8.8:80       1.1.1.1:9452  "
		  "->   "
		  "8.8.8.8:80  0  0\n",
		  { "6 64400002:1 8080808:80 1010101:9452 state 8 timer 0 0..0 exact" },
		  0,
		  1 },
	};

	run(rows, ARRAY_SIZE(rows));
}

Test(traffic, sessions_of_detnat_and_the_neutral_line_are_read)
{
	static const struct row rows[] = {
		{ "detnatctl --json session list",
		  "[\n{\"proto\":\"tcp\",\"in_addr\":\"100.64.0.2\",\"in_port\":1,\"out_addr\":\"203.0.113.0\",\"out_"
		  "port\":2,"
		  "\"ext_addr\":\"8.8.8.8\",\"ext_port\":443,\"state\":\"tcp-established\",\"expires\":7000},\n"
		  "{\"proto\":\"udp\",\"in_addr\":\"100.64.0.3\",\"in_port\":1,\"out_addr\":\"203.0.113.0\",\"out_"
		  "port\":2,"
		  "\"ext_addr\":\"8.8.8.8\",\"ext_port\":53,\"state\":\"udp-active\",\"expires\":290}\n]\n",
		  { "6 64400002:1 8080808:443 cb007100:2 state 8 timer 1 0..7000000",
		    "17 64400003:1 8080808:53 cb007100:2 state 2 timer 9 0..290000" } },
		{ "indented, and an object without a state",
		  "[\n  {\n    \"proto\": \"udp\",\n    \"in_addr\": \"100.64.0.3\",\n    \"in_port\": 1,\n    "
		  "\"ext_addr\": "
		  "\"8.8.8.8\",\n    \"ext_port\": 53,\n    \"state\": \"udp-active\",\n    \"expires\": 290\n  },\n  "
		  "{\n    "
		  "\"proto\": \"udp\"\n  }\n]\n",
		  { "17 64400003:1 8080808:53 0:0 state 2 timer 9 0..290000" },
		  1 },
		{ "another protocol, and letters between two objects",
		  "[{\"proto\":\"gre\",\"in_addr\":\"100.64.0.3\",\"in_port\":0,\"ext_addr\":\"8.8.8.8\",\"ext_port\":"
		  "0,"
		  "\"state\":\"udp-active\",\"expires\":290},\n"
		  "{\"proto\":\"udp\",\"in_addr\":\"100.64.0.3\",\"in_port\":1,\"ext_addr\":\"8.8.8.8\",\"ext_port\":"
		  "53,"
		  "\"state\":\"udp-active\",\"expires\":290},\nx\n]\n",
		  { "17 64400003:1 8080808:53 0:0 state 2 timer 9 0..290000" },
		  1,
		  1 },
		{ "the neutral line, with a comment",
		  "# captured by hand\n2023-11-14T22:13:20Z tcp 100.64.0.2:1 8.8.8.8:443\n"
		  "1700000001.5 udp 100.64.0.2:1 8.8.8.8:53 1700000003\n"
		  "2023-11-14T23:13:21+01:00 17 100.64.0.2:1 8.8.8.8:53 203.0.113.0:5 2023-11-14T22:13:22Z\n"
		  "2023-11-14T22:13:20Z sctp 100.64.0.2:1 8.8.8.8:443\n"
		  "2023-11-14T22:13:20Z udp 100.64.0.2:1 8.8.8.8:443 2023-11-14T22:13:19Z\n2023-11-14T22:13:20Z udp\n",
		  { "6 64400002:1 8080808:443 0:0 state 8 timer 0 0..0",
		    "17 64400002:1 8080808:53 0:0 state 2 timer 0 1500..3000 exact",
		    "17 64400002:1 8080808:53 cb007100:5 state 2 timer 0 1000..2000 exact" },
		  2,
		  1 },
	};

	run(rows, ARRAY_SIZE(rows));
}

/* A capture with a packet for each row: Ethernet, IPv4, and the ports with TCP's flags. */
struct packet_row {
	uint32_t ms, src, dst;
	uint16_t sport, dport;
	uint8_t proto, flags;
};

static size_t put_packet(uint8_t *to, const struct packet_row *p, bool vlan)
{
	uint32_t size = (vlan ? 18 : 14) + 40,
		 header[4] = { 1700000000 + p->ms / 1000, p->ms % 1000 * 1000, size, size };
	uint8_t frame[64] = { 0 }, *ip = frame + (vlan ? 18 : 14);

	frame[12] = vlan ? 0x81 : 8;
	if (vlan)
		frame[16] = 8;
	ip[0] = 0x45;
	ip[9] = p->proto;
	for (unsigned i = 0; i < 4; i++) {
		ip[12 + i] = (uint8_t)(p->src >> (24 - 8 * i));
		ip[16 + i] = (uint8_t)(p->dst >> (24 - 8 * i));
	}
	ip[20] = (uint8_t)(p->sport >> 8);
	ip[21] = (uint8_t)p->sport;
	ip[22] = (uint8_t)(p->dport >> 8);
	ip[23] = (uint8_t)p->dport;
	ip[33] = p->flags;
	memcpy(to, header, 16);
	memcpy(to + 16, frame, size);
	return 16 + size;
}

Test(traffic, a_capture_becomes_flows_whose_states_both_directions_decide)
{
	static const struct packet_row rows[] = {
		{ 0, 0x64400002, 0x08080808, 1, 443, 6, 2 },	 { 10, 0x08080808, 0x64400002, 443, 1, 6, 0x12 },
		{ 20, 0x64400002, 0x08080808, 1, 443, 6, 0x10 }, { 30, 0x64400002, 0x08080808, 1, 443, 6, 0x11 },
		{ 40, 0x08080808, 0x64400002, 443, 1, 6, 0x11 }, { 50, 0x64400002, 0x08080808, 1, 443, 6, 0x10 },
		{ 60, 0x64400003, 0x08080808, 7, 53, 17, 0 },	 { 70, 0x64400003, 0x08080808, 0, 0, 47, 0 },
	};
	uint8_t file[2048];
	uint32_t header[6] = { 0xa1b2c3d4, 0x00040002, 0, 0, 65535, 1 };
	size_t n = sizeof(header);
	bool tcp = false, udp = false;
	struct seen s;
	char text[160];

	memcpy(file, header, sizeof(header));
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		n += put_packet(file + n, &rows[i], i % 2);
	read_octets(file, n, &s);
	cr_assert_eq(s.result, 0, "%s", s.err.text);
	cr_expect_eq(s.n, 3);
	for (unsigned i = 0; i < s.n && i < MAX_SEEN; i++) {
		tcp |= !strcmp(show(&s.flow[i], text), "6 64400002:1 8080808:443 0:0 state 13 timer 0 0..50");
		udp |= !strcmp(text, "17 64400003:7 8080808:53 0:0 state 2 timer 0 60..60");
	}
	cr_expect(tcp && udp);
	cr_expect_str_eq(s.notes.format, "a capture");
	cr_expect_eq(s.notes.other, 1);
	read_octets(file, n - 3, &s);
	cr_expect(s.notes.cut);
}

Test(traffic, unreadable_files_are_refused_with_the_way_out)
{
	static const struct {
		const char *text, *err;
	} rows[] = {
		{ "", "FILE is empty" },
		{ "hello\nworld\n", "the format is not known" },
		{ "\x1f\x8b rest", "zcat" },
		{ "\x0a\x0d\x0d\x0a rest", "editcap -F pcap" },
		{ "ts,te,td,sa,da,sp,dp,pr,flg,sampling\n2023-11-14 22:13:20,2023-11-14 "
		  "22:13:20,0.0,100.64.0.2,8.8.8.8,1,2,TCP,......S.,1000\n",
		  "FILE:2: these flows are sampled" },
		{ "ts,te,td,sa,da,sp,dp,pr,flg\n# sampling interval: 1000\n", "FILE:2: these flows are sampled" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct seen s;

		read_text(rows[i].text, &s);
		cr_expect_eq(s.result, -EINVAL, "%zu", i);
		cr_expect(strstr(s.err.text, rows[i].err), "%s", s.err.text);
	}
}

Test(traffic, garbage_is_counted_and_the_first_ten_lines_are_named)
{
	char text[8192] = "1700000001 udp 100.64.0.2:1 8.8.8.8:53\n";
	struct seen s;

	for (unsigned i = 0; i < 14; i++)
		strcat(text, "no line\x01\n");
	read_text(text, &s);
	cr_expect_eq(s.result, 0);
	cr_expect_eq(s.n, 1);
	cr_expect_eq(s.notes.garbage, 14);
	cr_expect_eq(s.notes.named[9].line, 11);
	cr_expect_str_eq(s.notes.named[0].text, "\"no line\\x01\"");
}

Test(traffic, a_line_without_end_takes_no_memory_and_counts_once)
{
	size_t size = 1 << 20;
	char *text = malloc(size);
	struct seen s;
	static const char before[] = "1700000001 udp 100.64.0.2:1 8.8.8.8:53\n",
			  after[] = "\n1700000002 udp 100.64.0.2:2 8.8.8.8:53";

	memset(text, 'x', size);
	memcpy(text, before, sizeof(before) - 1);
	memcpy(text + size - sizeof(after) + 1, after, sizeof(after) - 1);
	read_octets(text, size, &s);
	cr_expect_eq(s.n, 2);
	cr_expect_eq(s.notes.garbage, 1);
	free(text);
}

/* Batches and jq print the list on one line: here of some 300 KiB, with other lines before and behind it. */
Test(traffic, sessions_on_one_line_of_any_length_are_read)
{
	static const char session[] =
		"{\"proto\":\"udp\",\"in_addr\":\"10.0.0.%u\",\"in_port\":%u,\"out_addr\":\"1.1.1.1\","
		"\"out_port\":2000,\"ext_addr\":\"192.0.2.1\",\"ext_port\":53,\"state\":\"udp-active\","
		"\"expires\":%u}";
	char *text = NULL;
	struct seen s;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	fputs("[]\n[", out);
	for (unsigned i = 0; i < 2000; i++) {
		fputs(i ? "," : "", out);
		fprintf(out, session, 1 + i % 250, 1000 + i, 1 + i % 300);
	}
	fputs("]\nnonsense\n", out);
	fclose(out);
	read_octets(text, size, &s);
	cr_assert_eq(s.result, 0, "%s", s.err.text);
	cr_expect_eq(s.n, 2000, "%u", s.n);
	cr_expect_eq(s.notes.lines, 3, "%llu", (unsigned long long)s.notes.lines);
	cr_expect(s.notes.garbage == 1 && s.notes.named[0].line == 3);
	free(text);
}

Test(traffic, a_timer_is_as_long_as_one_in_use_that_is_not_below_what_was_seen)
{
	cr_expect_eq(traffic_timer_length(431999000), 432000000);
	cr_expect_eq(traffic_timer_length(86399000), 86400000);
	cr_expect_eq(traffic_timer_length(29000), 30000);
	cr_expect_eq(traffic_timer_length(7440000), 7440000);
	cr_expect_eq(traffic_timer_length(500000000), 500000000);
}
