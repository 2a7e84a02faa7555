// SPDX-License-Identifier: BSD-2-Clause
#include "e2e_samples.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <string.h>

#include <bpf/libbpf.h>
#include <detnat/mapping.h>

#include "e2e.skel.h"
#include "e2e_netns.h"

#define ETHERNET 14U
#define TOLD	 5U

/* Sum of 16-bit words, the last octet padded. */
static uint32_t words(const uint8_t *p, size_t n)
{
	uint32_t sum = 0;

	for (size_t i = 0; i + 1 < n; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	return n & 1 ? sum + ((uint32_t)p[n - 1] << 8) : sum;
}

static bool sums_to_zero(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum == 0xffff;
}

/* Whether an inside endpoint became what the gateway has to make of it. */
static bool source_is_right(const struct gateway *g, uint32_t number, uint32_t addr, uint16_t port, bool learnt)
{
	const struct e2e_endpoint *e = &g->endpoints[number];
	struct port_block block;
	struct geometry geo;

	if (learnt && e->known && (ntohl(e->addr) != addr || ntohs(e->port) != port))
		return false;
	if (!gateway_translates(g->kind))
		return addr == flow_host(number) && port == flow_port(number);
	geo = gateway_geometry(g);
	block = mapping_forward(&geo, flow_host(number));
	if (addr != block.out_addr)
		return false;
	return g->kind == GATEWAY_NFT ? port >= 1024 : port >= block.port_lo && port <= block.port_hi;
}

const char *sample_verify(const struct sample_check *c, const struct e2e_sample *s)
{
	struct ip ip;
	uint16_t port[2];
	uint32_t number, length, payload;
	const uint8_t *l3 = s->frame + ETHERNET, *l4 = l3 + sizeof(ip);

	memcpy(&ip, l3, sizeof(ip));
	length = ntohs(ip.ip_len);
	if (s->length < ETHERNET + sizeof(ip) + sizeof(struct udphdr) + 4 || ip.ip_hl != 5 ||
	    length + ETHERNET != s->length)
		return "length";
	if (!sums_to_zero(words(l3, sizeof(ip))))
		return "IPv4 checksum";
	payload = length - (uint32_t)sizeof(ip);
	if (!sums_to_zero(words(l3 + 12, 8) + ip.ip_p + payload + words(l4, payload)))
		return "UDP or TCP checksum";
	if (ip.ip_ttl != E2E_TTL - 1)
		return "TTL";
	memcpy(port, l4, sizeof(port));
	memcpy(&number, ip.ip_p == IPPROTO_UDP ? l4 + sizeof(struct udphdr) : l4 + 4, sizeof(number));
	if (ip.ip_p == IPPROTO_TCP)
		number = (ntohl(number) & ~E2E_SEQ_SERVER) >> E2E_SEQ_SHIFT;
	if (number >= c->g->hosts * PORTS_PER_HOST)
		return "number";

	bool out = s->side == SIDE_INTERNET;
	uint32_t ours = ntohl(out ? ip.ip_src.s_addr : ip.ip_dst.s_addr);
	uint32_t theirs = ntohl(out ? ip.ip_dst.s_addr : ip.ip_src.s_addr);
	uint16_t our_port = ntohs(port[!out]), their_port = ntohs(port[out]);

	if (theirs != gateway_destination(c->g, number) || their_port != c->ext_port)
		return "external endpoint";
	if (!out)
		return ours == flow_host(number) && our_port == flow_port(number) ? NULL : "inside endpoint";
	return source_is_right(c->g, number, ours, our_port, ip.ip_p == IPPROTO_UDP) ? NULL : "outside endpoint";
}

static int on_sample(void *arg, void *data, size_t size)
{
	struct sample_check *c = arg;
	const char *wrong = sample_verify(c, data);

	c->samples++;
	if (wrong && c->bad++ < TOLD)
		fprintf(stderr, "bench-e2e: %s: a packet arrived with a wrong %s\n", gateway_name(c->g->kind), wrong);
	return 0;
}

void samples_take(const struct world *w, struct sample_check *c)
{
	struct ring_buffer *ring = ring_buffer__new(bpf_map__fd(w->skeleton->maps.samples), on_sample, c, NULL);

	if (!ring)
		e2e_die(errno, "samples");
	ring_buffer__consume(ring);
	ring_buffer__free(ring);
}
