/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/spelling.h"

#include <string.h>

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned m = a < b ? a : b;

	return m < c ? m : c;
}

/* Letters added, omitted, changed, or swapped with their neighbour: how many make one word of the other. */
static unsigned distance(const char *a, const char *b)
{
	unsigned d[SPELLING_MOST + 1][SPELLING_MOST + 1];
	size_t n = strlen(a), m = strlen(b);

	if (n > SPELLING_MOST || m > SPELLING_MOST)
		return SPELLING_MOST;
	for (unsigned i = 0; i <= n; i++)
		d[i][0] = i;
	for (unsigned j = 0; j <= m; j++)
		d[0][j] = j;
	for (unsigned i = 1; i <= n; i++) {
		for (unsigned j = 1; j <= m; j++) {
			d[i][j] = min3(d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    d[i - 2][j - 2] + 1 < d[i][j])
				d[i][j] = d[i - 2][j - 2] + 1;
		}
	}
	return d[n][m];
}

void spelling_offer(struct spelling *s, const char *typed, const char *word)
{
	size_t length = strlen(typed);
	unsigned most = length < 4 ? 1 : length < 8 ? 2 : 3, d = distance(typed, word);

	/* Nothing of a word of so few letters would be left. */
	if (d > most || d >= strlen(word))
		return;
	/* Of two as near, that of the same length: letters are swapped or missed more often than added. */
	if (!s->meant || d < s->distance || (d == s->distance && strlen(word) == length && strlen(s->meant) != length))
		*s = (struct spelling){ .meant = word, .distance = d };
}
