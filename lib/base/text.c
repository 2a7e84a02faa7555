// SPDX-License-Identifier: BSD-2-Clause
#include "base/text.h"

#include <string.h>

/* Octets of a character by its first one; 0: none begins so. */
static unsigned size_of(unsigned char first)
{
	if (first < 0x80)
		return 1;
	return first >> 5 == 6 ? 2 : first >> 4 == 14 ? 3 : first >> 3 == 30 ? 4 : 0;
}

unsigned utf8_read(const char *text, size_t left, uint32_t *ret)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const unsigned char *at = (const unsigned char *)text;
	unsigned n = size_of(*at);
	uint32_t c = n > 1 ? *at & (0x7fU >> n) : *at;

	if (n > left)
		return 0;
	for (unsigned i = 1; i < n; i++) {
		if (at[i] >> 6 != 2)
			return 0;
		c = c << 6 | (at[i] & 0x3f);
	}
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0;
	*ret = c;
	return n;
}

bool text_printable(const char *text)
{
	size_t left = strlen(text);

	while (left) {
		uint32_t c = 0;
		unsigned n = utf8_read(text, left, &c);

		if (!n || c < ' ' || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029)
			return false;
		text += n;
		left -= n;
	}
	return true;
}
