// SPDX-License-Identifier: BSD-2-Clause
/*
 * Packets of sessions drawn at random go through the programs alone, with sound checksums; what comes out is compared
 * octet by octet with what the mapping's arithmetic says, and its checksums are computed afresh.
 */
#include "bench.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <linux/bpf.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <string.h>

#include <bpf/bpf.h>

#define IP_AT	   14
#define TRANSPORT  34
#define IP_LENGTH  (FRAME - IP_AT)
#define DATA_OCTET 0x5a

static uint32_t sum_octets(uint32_t sum, const unsigned char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	return sum;
}

/* RFC 1071; 0 over data that holds its own checksum. */
static uint16_t checksum(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static uint16_t ip_checksum(const unsigned char *f)
{
	return checksum(sum_octets(0, f + IP_AT, sizeof(struct iphdr)));
}

/* With the pseudo header: addresses, protocol, length. */
static uint16_t transport_checksum(const unsigned char *f)
{
	size_t length = FRAME - TRANSPORT;

	return checksum(
		sum_octets(sum_octets(f[IP_AT + 9] + (uint32_t)length, f + IP_AT + 12, 8), f + TRANSPORT, length));
}

static void put(unsigned char *at, const void *value, size_t n)
{
	memcpy(at, value, n);
}

static size_t checksum_at(bool tcp)
{
	return TRANSPORT + (tcp ? offsetof(struct tcphdr, check) : offsetof(struct udphdr, check));
}

static void make_packet(unsigned char *f, const struct flow_tuple *t, bool tcp, uint8_t ttl)
{
	struct iphdr ip = {
		.version = 4,
		.ihl = 5,
		.tot_len = htons(IP_LENGTH),
		.ttl = ttl,
		.protocol = tcp ? IPPROTO_TCP : IPPROTO_UDP,
		.saddr = htonl(t->src),
		.daddr = htonl(t->dst),
	};
	uint16_t sum;

	memset(f, DATA_OCTET, FRAME);
	memset(f, 2, 12);
	f[12] = 8;
	f[13] = 0;
	put(f + IP_AT, &ip, sizeof(ip));
	sum = htons(ip_checksum(f));
	put(f + IP_AT + offsetof(struct iphdr, check), &sum, 2);
	if (tcp) {
		struct tcphdr h = { .source = htons(t->sport), .dest = htons(t->dport), .doff = 5, .ack = 1 };

		put(f + TRANSPORT, &h, sizeof(h));
	} else {
		struct udphdr h = { .source = htons(t->sport),
				    .dest = htons(t->dport),
				    .len = htons(FRAME - TRANSPORT) };

		put(f + TRANSPORT, &h, sizeof(h));
	}
	sum = htons(transport_checksum(f));
	if (!sum && !tcp) /* 0 would say that there is none (RFC 768) */
		sum = 0xffff;
	put(f + checksum_at(tcp), &sum, 2);
}

/* A host of the subscriber with a virtual address. */
static void put_host(unsigned char *at, uint32_t virt, uint16_t in_port)
{
	uint64_t half[2] = { htobe64(flow_host_hi(virt, flow_host(in_port))), flow_host_lo(virt, flow_host(in_port)) };

	put(at, half, sizeof(half));
}

static void put_prefixed(unsigned char *at, uint32_t addr)
{
	uint64_t half[2] = { htobe64(FLOW_PREFIX_HI), htobe64(addr) };

	put(at, half, sizeof(half));
}

static uint16_t transport_checksum_six(const unsigned char *f)
{
	size_t length = FRAME - TRANSPORT;

	return checksum(sum_octets(sum_octets(IPPROTO_UDP + (uint32_t)length, f + IP_AT + 8, 32),
				   f + TRANSPORT + FRAME_GROWTH, length));
}

/* The same as of IPv6, UDP. outwards: from the host. */
static void make_packet_six(unsigned char *f, const struct flow_tuple *t, bool outwards, uint8_t hops)
{
	unsigned char four[FRAME];
	uint16_t sum;

	make_packet(four, t, false, hops);
	memset(f, 0, FRAME_SIX);
	memcpy(f, four, 12);
	f[12] = 0x86;
	f[13] = 0xdd;
	f[IP_AT] = 0x60;
	f[IP_AT + 5] = FRAME - TRANSPORT;
	f[IP_AT + 6] = IPPROTO_UDP;
	f[IP_AT + 7] = hops;
	if (outwards) {
		put_host(f + IP_AT + 8, t->src, t->sport);
		put_prefixed(f + IP_AT + 24, t->dst);
	} else {
		put_prefixed(f + IP_AT + 8, t->src);
		put_host(f + IP_AT + 24, t->dst, t->dport);
	}
	memcpy(f + TRANSPORT + FRAME_GROWTH, four + TRANSPORT, FRAME - TRANSPORT);
	memset(f + checksum_at(false) + FRAME_GROWTH, 0, 2);
	sum = htons(transport_checksum_six(f));
	put(f + checksum_at(false) + FRAME_GROWTH, sum ? &sum : &(uint16_t){ 0xffff }, 2);
}

/* The same as comes_out(), of NAT64. outwards: the packet sent is the one of IPv6. */
static bool comes_out_six(int program, uint32_t ingress, const struct flow_tuple *in, const struct flow_tuple *out,
			  bool outwards, const uint8_t to[6])
{
	const unsigned char by[6] = { 2, 2, 2, 2, 2, 2 };
	unsigned char sent[FRAME_SIX], got[FRAME_SIX] = { 0 }, wanted[FRAME_SIX];
	uint32_t size = outwards ? FRAME_SIX : FRAME, size_out = outwards ? FRAME : FRAME_SIX;
	struct xdp_md ctx = { .data_end = size, .ingress_ifindex = ingress };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = sent, .data_size_in = size, .data_out = got,
		    .data_size_out = FRAME_SIX, .ctx_in = &ctx, .ctx_size_in = sizeof(ctx), .repeat = 1);

	if (outwards) {
		make_packet_six(sent, in, true, 64);
		make_packet(wanted, out, false, 63);
	} else {
		make_packet(sent, in, false, 64);
		make_packet_six(wanted, out, false, 63);
	}
	memcpy(wanted, to, 6);
	memcpy(wanted + 6, by, 6);
	if (bpf_prog_test_run_opts(program, &opts))
		die("BPF_PROG_TEST_RUN", errno);
	if (opts.retval != XDP_REDIRECT || opts.data_size_out != size_out ||
	    (outwards ? ip_checksum(got) || transport_checksum(got) : transport_checksum_six(got)))
		return false;
	/* What identifies it is drawn. */
	if (outwards) {
		memcpy(got + IP_AT + 4, wanted + IP_AT + 4, 2);
		memcpy(got + IP_AT + 10, wanted + IP_AT + 10, 2);
	}
	return !memcmp(got, wanted, size_out);
}

/* Runs one packet; whether it came out, redirected, as it must. */
static bool comes_out(int program, uint32_t ingress, const struct flow_tuple *in, const struct flow_tuple *out,
		      bool tcp, const uint8_t to[6])
{
	const unsigned char by[6] = { 2, 2, 2, 2, 2, 2 };
	unsigned char sent[FRAME], got[FRAME] = { 0 }, wanted[FRAME];
	struct xdp_md ctx = { .data_end = FRAME, .ingress_ifindex = ingress };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = sent, .data_size_in = FRAME, .data_out = got,
		    .data_size_out = FRAME, .ctx_in = &ctx, .ctx_size_in = sizeof(ctx), .repeat = 1);

	make_packet(sent, in, tcp, 64);
	make_packet(wanted, out, tcp, 63);
	memcpy(wanted, to, 6);
	memcpy(wanted + 6, by, 6);
	if (bpf_prog_test_run_opts(program, &opts))
		die("BPF_PROG_TEST_RUN", errno);
	if (opts.retval != XDP_REDIRECT || opts.data_size_out != FRAME || ip_checksum(got) || transport_checksum(got))
		return false;
	/* Octet by octet; a sum of 0 may have been written in either of its two ways. */
	memcpy(got + checksum_at(tcp), wanted + checksum_at(tcp), 2);
	memcpy(got + IP_AT + 10, wanted + IP_AT + 10, 2);
	return !memcmp(got, wanted, FRAME);
}

int verify_sample(struct bench *b, const struct space *s, unsigned n)
{
	const uint8_t inside[6] = { 2, 0, 0, 0, 0, 1 };
	uint8_t outside[6];

	for (unsigned i = 0; i < n; i++) {
		uint64_t session = random_next(&b->seed) % s->n_sessions;
		struct flow_tuple in = flow_of(s, session, FROM_INSIDE), back = flow_of(s, session, FROM_OUTSIDE);
		struct flow_tuple translated = { back.dst, back.src, back.dport, back.sport, 0 };
		struct flow_tuple delivered = { in.dst, in.src, in.dport, in.sport, 0 };

		world_station(b, in.dst, outside);
		if (s->row->feature == FEATURE_SIX) {
			if (comes_out_six(b->inside_fd, b->inside_ifindex, &in, &translated, true, outside) &&
			    comes_out_six(b->outside_fd, b->outside_ifindex, &back, &delivered, false, inside))
				continue;
			return -1;
		}
		if (!comes_out(b->inside_fd, b->inside_ifindex, &in, &translated, s->row->tcp, outside) ||
		    !comes_out(b->outside_fd, b->outside_ifindex, &back, &delivered, s->row->tcp, inside)) {
			fprintf(stderr, "bench: a packet of session %lu of %s came out wrong\n", session, s->row->name);
			return -1;
		}
	}
	return (int)(2 * n);
}
