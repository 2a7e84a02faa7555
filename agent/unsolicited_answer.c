/* SPDX-License-Identifier: BSD-2-Clause */
#include <arpa/inet.h>
#include <string.h>

#include "unsolicited.h"

/* RFC 1071; what is summed is in network byte order, and so is the result. */
static uint16_t checksum(const uint8_t *data, size_t size)
{
	uint32_t sum = 0;
	uint16_t word;

	for (size_t i = 0; i < size; i += 2) {
		word = 0;
		memcpy(&word, data + i, size - i < 2 ? 1 : 2);
		sum += word;
	}
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t) ~(sum + (sum >> 16));
}

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
	icmp.checksum = checksum(message, sizeof(icmp) + quote);
	memcpy(message, &icmp, sizeof(icmp));
	return length;
}
