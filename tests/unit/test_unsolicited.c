/* SPDX-License-Identifier: BSD-2-Clause */
/* The ICMP error about a SYN from outside that nobody inside wanted. */
#include <criterion/criterion.h>
#include <string.h>

#include "punt/unsolicited_tcp.h"

/* The sum of RFC 1071 over whole octets, folded; of a message with its checksum it is 0xffff. */
static uint32_t sum(const uint8_t *data, size_t size)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < size; i++)
		sum += (uint32_t)data[i] << (i & 1 ? 0 : 8);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

Test(unsolicited, the_answer_quotes_the_syn)
{
	static const uint8_t header[] = { 0x45, 0xc0, 0,    0,	  0,   0, 0x40, 0, 64,	 1,
					  0,	0,    0xc6, 0x33, 100, 1, 0xc0, 0, 0x02, 7 };

	for (uint32_t length = UNSOLICITED_QUOTE_MIN; length <= UNSOLICITED_QUOTE_MAX; length++) {
		struct unsolicited_syn s = { .of = { .ext_addr = 0xc0000207 }, .length = length };
		uint8_t packet[UNSOLICITED_ANSWER_MAX], want[sizeof(header)];

		memset(packet, 0xaa, sizeof(packet));
		memset(s.packet, 0xff, sizeof(s.packet));
		for (uint32_t i = 0; i < length; i += 3)
			s.packet[i] = (uint8_t)(i * 11 + length);
		cr_assert_eq(unsolicited_answer(&s, 0xc6336401, packet), 28 + length);
		memcpy(want, header, sizeof(want));
		want[3] = (uint8_t)(28 + length);
		cr_assert_arr_eq(packet, want, sizeof(want));
		cr_assert_eq(packet[20], 3);
		cr_assert_eq(packet[21], 3);
		cr_assert_arr_eq(packet + 24, "\0\0\0\0", 4);
		cr_assert_arr_eq(packet + 28, s.packet, length);
		cr_assert_eq(sum(packet + 20, 8 + length), 0xffff, "%u octets", length);
	}
}
