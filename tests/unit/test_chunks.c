/* SPDX-License-Identifier: BSD-2-Clause */
/* Ranges of records whose chunks are gone, as after a kill. */
#include <criterion/criterion.h>

#include <errno.h>

#include "tables/chunks.h"

Test(chunks, a_range_without_its_chunk_is_refused_and_free_again)
{
	struct error err = { 0 };
	struct chunks c = { 0 };
	uint32_t first;

	cr_assert_eq(chunks_open(&c, -1, 4, 8, 16, &err), 0, "%s", err.text);
	cr_expect_eq(chunks_take(&c, 0, 24), -ENOENT);
	cr_expect_eq(c.users[0], 0);
	cr_expect_eq(c.n_missing, 0);
	cr_assert_eq(chunks_alloc(&c, 24, 1, &first), 0);
	cr_expect_eq(first, 0);
	cr_expect_eq(c.n_missing, 2);
	chunks_close(&c);
}
