/* SPDX-License-Identifier: BSD-2-Clause */
/* Lines of a listing. */
#include <criterion/criterion.h>

#include <netinet/in.h>
#include <string.h>

#include "sessions/sessions.h"

Test(session_text, is_the_documented_object)
{
	static const struct {
		struct session session;
		const char *text;
	} rows[] = {
		{ { 0x0a000003, 0x01010100, 0xc6336407, 6303, 1070, 443, IPPROTO_TCP, SESSION_ESTABLISHED, 7431, true },
		  "{\"proto\":\"tcp\",\"in_addr\":\"10.0.0.3\",\"in_port\":6303,\"out_addr\":\"1.1.1.0\",\"out_port\":"
		  "1070,"
		  "\"ext_addr\":\"198.51.100.7\",\"ext_port\":443,\"state\":\"tcp-established\",\"expires\":7431}\n" },
		{ { 0, 0, 0, 0, 0, 0, IPPROTO_ICMP, SESSION_ICMP, 0, false },
		  "{\"proto\":\"icmp\",\"in_addr\":\"0.0.0.0\",\"in_port\":0,\"out_addr\":\"0.0.0.0\",\"out_port\":0,"
		  "\"ext_addr\":\"0.0.0.0\",\"ext_port\":0,\"state\":\"icmp-active\",\"expires\":0}\n" },
		{ { ~0U, ~0U, ~0U, 65535, 65535, 65535, IPPROTO_UDP, SESSION_UDP, ~0U, true },
		  "{\"proto\":\"udp\",\"in_addr\":\"255.255.255.255\",\"in_port\":65535,"
		  "\"out_addr\":\"255.255.255.255\",\"out_port\":65535,\"ext_addr\":\"255.255.255.255\","
		  "\"ext_port\":65535,\"state\":\"udp-active\",\"expires\":4294967295}\n" },
		{ { 0x640a0909, 0, 0, 10, 100, 1000, IPPROTO_TCP, SESSION_ESTABLISHED | SESSION_RESET, 10, true },
		  "{\"proto\":\"tcp\",\"in_addr\":\"100.10.9.9\",\"in_port\":10,\"out_addr\":\"0.0.0.0\",\"out_port\":"
		  "100,"
		  "\"ext_addr\":\"0.0.0.0\",\"ext_port\":1000,\"state\":\"tcp-reset\",\"expires\":10}\n" },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		char text[SESSION_TEXT] = "";
		size_t n = session_text(&rows[i].session, text);

		cr_assert_eq(n, strlen(rows[i].text), "row %u", i);
		cr_assert_arr_eq(text, rows[i].text, n, "row %u: %.*s", i, (int)n, text);
	}
}

Test(session_text, fits_its_room_in_every_state)
{
	struct session s = { ~0U, ~0U, ~0U, 65535, 65535, 65535, IPPROTO_ICMP, 0, ~0U, true };

	for (unsigned state = 0; state < 256; state++) {
		char text[2 * SESSION_TEXT];

		s.state = (uint8_t)state;
		/* With the NUL that is written on the way. */
		cr_assert_lt(session_text(&s, text), SESSION_TEXT, "state %u", state);
	}
}
