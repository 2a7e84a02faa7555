/* SPDX-License-Identifier: BSD-2-Clause */
#include "punt/ip_fragments.h"

#include <arpa/inet.h>
#include <netinet/ip.h>
#include <string.h>

#include "base/ip_checksum.h"

/* Options that later fragments do not carry become no-operations, so that the header keeps its length. */
static void drop_uncopied_options(uint8_t *options, size_t size)
{
	size_t length;

	for (size_t at = 0; at < size && options[at] != IPOPT_END; at += length) {
		length = options[at] == IPOPT_NOP ? 1 : at + 1 < size ? options[at + 1] : 0;
		if (options[at] != IPOPT_NOP && (length < 2 || length > size - at))
			return;
		if (!IPOPT_COPIED(options[at]))
			memset(options + at, IPOPT_NOP, length);
	}
}

size_t ip_fragment_next(const uint8_t *packet, size_t size, size_t mtu, size_t *at, uint8_t *ret)
{
	size_t header, payload, room, length;
	struct iphdr ip;
	uint16_t field;

	if (size < sizeof(ip))
		return 0;
	memcpy(&ip, packet, sizeof(ip));
	header = ip.ihl * 4UL;
	if (header < sizeof(ip) || ntohs(ip.tot_len) > size || ntohs(ip.tot_len) <= header || mtu < header + 8)
		return 0;
	payload = ntohs(ip.tot_len) - header;
	if (*at >= payload)
		return 0;
	room = (mtu - header) & ~(size_t)7;
	length = payload - *at <= mtu - header ? payload - *at : room;

	field = ntohs(ip.frag_off);
	field = (uint16_t)((field & ~IP_OFFMASK) | ((field & IP_OFFMASK) + *at / 8));
	if (*at + length < payload)
		field |= IP_MF;
	ip.frag_off = htons(field);
	ip.tot_len = htons((uint16_t)(header + length));
	ip.check = 0;
	memcpy(ret, &ip, sizeof(ip));
	memcpy(ret + sizeof(ip), packet + sizeof(ip), header - sizeof(ip));
	if (*at)
		drop_uncopied_options(ret + sizeof(ip), header - sizeof(ip));
	ip.check = ip_checksum(ret, header);
	memcpy(ret + offsetof(struct iphdr, check), &ip.check, sizeof(ip.check));
	memcpy(ret + header, packet + header + *at, length);
	*at += length;
	return header + length;
}
