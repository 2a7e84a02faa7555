/* SPDX-License-Identifier: BSD-2-Clause */
/* Guests' cards whose driver takes XDP programs and does not run them. */
#include <criterion/criterion.h>
#include <string.h>

#include "base/base.h"
#include "host/virtio.h"

struct row {
	const char *name;
	const uint8_t features[8]; /* that both sides have; ends with 0 */
	uint32_t mtu;
	bool ignores;
};

/* Numbers as in virtio 1.2, section 5.1.3; 5 is the MAC address. */
static const struct row rows[] = {
	{ "nothing merged, no mergeable buffers", { 5 }, 1500, false },
	{ "segments merged, mergeable buffers", { 5, 7, 8, 15 }, 1500, false },
	{ "segments merged, no mergeable buffers", { 5, 7, 8 }, 1500, true },
	{ "of IPv6 alone", { 5, 8 }, 1500, true },
	{ "with ECN alone", { 5, 9 }, 1500, true },
	{ "UDP fragments merged", { 5, 10 }, 1500, true },
	{ "UDP segments of IPv4 and IPv6 merged", { 5, 54, 55 }, 1500, true },
	{ "UDP segments of one of them", { 5, 54 }, 1500, false },
	{ "a large MTU told by the device", { 3, 5 }, 9000, true },
	{ "the ordinary MTU told by the device", { 3, 5 }, 1500, false },
	{ "a large MTU that the device does not tell", { 5 }, 9000, false },
	{ "a large MTU and mergeable buffers", { 3, 5, 7, 15 }, 9000, false },
};

Test(virtio, features)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char bits[72];

		memset(bits, '0', 64);
		strcpy(bits + 64, "\n");
		for (const uint8_t *f = rows[i].features; *f; f++)
			bits[*f] = '1';
		cr_expect_eq(virtio_bits_ignore_xdp(bits, rows[i].mtu), rows[i].ignores, "%s", rows[i].name);
	}
}

Test(virtio, a_file_that_is_none)
{
	static const char *const texts[] = { "", "\n", "0", "00000001", "0x180", "000000010000000" };

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		cr_expect_not(virtio_bits_ignore_xdp(texts[i], 9000), "%s", texts[i]);
}

Test(virtio, an_interface_that_is_none)
{
	cr_expect_not(virtio_ignores_xdp("", "no-such-card", 1500));
	cr_expect_not(virtio_ignores_xdp("", "lo", 65536));
}
