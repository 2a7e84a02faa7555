/* SPDX-License-Identifier: BSD-2-Clause */
#include <arpa/inet.h>
#include <string.h>

#include "base/ip_checksum.h"
#include "punt/unsolicited_tcp.h"

size_t unsolicited_answer(const struct unsolicited_syn *s, uint32_t from, uint8_t packet[UNSOLICITED_ANSWER_MAX])
{
	size_t quote = s->length < UNSOLICITED_QUOTE_MAX ? s->length : UNSOLICITED_QUOTE_MAX;
	size_t length = sizeof(struct iphdr) + sizeof(struct icmphdr) + quote;
	const struct iphdr ip = {
		.version = 4,
		.ihl = 5,
		.tos = 0xc0, /* internetwork control (RFC 1812 section 4.3.2.5) */
		.tot_len = htons((uint16_t)length),
		.frag_off = htons(IP_DF),
		.ttl = 64,
		.protocol = IPPROTO_ICMP,
		.saddr = htonl(from),
		.daddr = htonl(s->of.ext_addr),
	};
	struct icmphdr icmp = { .type = ICMP_DEST_UNREACH, .code = ICMP_PORT_UNREACH };
	uint8_t *message = packet + sizeof(ip);

	memcpy(packet, &ip, sizeof(ip));
	memcpy(message, &icmp, sizeof(icmp));
	memcpy(message + sizeof(icmp), s->packet, quote);
	icmp.checksum = ip_checksum(message, sizeof(icmp) + quote);
	memcpy(message, &icmp, sizeof(icmp));
	return length;
}
