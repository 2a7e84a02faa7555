/* SPDX-License-Identifier: BSD-2-Clause */
/* Where the octets of a decoded text were, which is kept in runs: as if it was kept of each. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "complaints/complaint_octets.h"

#define MOST   4096U
#define STEPS  600U
#define ROUNDS 200U

struct model {
	struct octets octets;
	char text[MOST];
	uint32_t from[MOST];
	size_t size;
};

static void put(struct model *m, char c, uint32_t from)
{
	octet_put(&m->octets, c, from);
	m->text[m->size] = c;
	m->from[m->size++] = from;
}

/* One after the other, or several of one place, or from a place that does not follow. */
static uint32_t step(struct model *m, uint32_t from)
{
	char several[8];
	unsigned n = (unsigned)rand() % sizeof(several);

	switch (rand() % 6) {
	case 0:
		memset(several, 'a' + rand() % 26, n);
		octets_put(&m->octets, several, n, from);
		for (unsigned i = 0; i < n; i++) {
			m->text[m->size] = several[i];
			m->from[m->size++] = from + i;
		}
		return from + n;
	case 1:
		for (unsigned i = 0; i < n; i++)
			put(m, 'x', from);
		return from + (n > 0);
	case 2:
		return from + n;
	case 3:
		m->size -= n < m->size ? n : m->size;
		octets_cut(&m->octets, m->size);
		return from;
	default:
		put(m, 'y', from);
		return from + 1;
	}
}

static void compare(struct model *m)
{
	cr_assert_not(m->octets.failed);
	cr_assert_eq(m->octets.size, m->size);
	cr_assert(!m->size || !memcmp(m->octets.text, m->text, m->size));
	for (uint32_t i = 0; i < m->size; i++)
		cr_assert_eq(origin_of(&m->octets.from, i), m->from[i], "octet %u of %zu", i, m->size);
	for (unsigned i = 0; i < 100 && m->size; i++) {
		uint32_t at = (uint32_t)((size_t)rand() % m->size);

		cr_assert_eq(origin_of(&m->octets.from, at), m->from[at]);
	}
}

Test(complaint_octets, each_octet_is_where_it_was)
{
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct model *m = calloc(1, sizeof(*m));
		uint32_t from = (uint32_t)rand() % 100;

		for (unsigned i = 0; i < STEPS && m->size + 8 < MOST; i++) {
			from = step(m, from);
			if (!(rand() % 50))
				compare(m);
		}
		compare(m);
		octets_free(&m->octets);
		free(m);
	}
}

Test(complaint_octets, a_text_that_is_as_it_was_is_one_run)
{
	struct octets o = { 0 };

	for (uint32_t i = 0; i < 100000; i++)
		octet_put(&o, 'x', i);
	cr_expect_eq(o.from.n, 1U);
	cr_expect_eq(origin_of(&o.from, 99999), 99999U);
	octets_free(&o);
}
