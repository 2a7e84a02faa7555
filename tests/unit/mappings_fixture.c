/* SPDX-License-Identifier: BSD-2-Clause */
#include <bpf/bpf.h>
#include <criterion/criterion.h>

#include "mappings_fixture.h"

void open_again(void)
{
	struct error err = { 0 };

	mappings_close(m);
	cr_assert_eq(mappings_open(&d, &m, &err), 0, "%s", err.text);
}

void mappings_set_up(void)
{
	tables_make(&d);
	open_again();
}

static unsigned chunks(int outer, uint32_t max)
{
	unsigned n = 0;
	uint32_t id;

	for (uint32_t i = 0; i < max; i++)
		n += !bpf_map_lookup_elem(outer, &i, &id);
	return n;
}

unsigned bucket_chunks(void)
{
	return chunks(d.buckets, MAX_BUCKET_CHUNKS);
}

unsigned subscriber_chunks(void)
{
	return chunks(d.subscribers, MAX_SUBSCRIBER_CHUNKS);
}

int add(const char *in, const char *out)
{
	struct mapping_spec spec = tables_spec(in, out);

	return tables_add(m, &spec);
}

int del(const char *in, const char *out)
{
	struct mapping_spec spec = tables_spec(in, out);

	return mappings_del_of(m, 0, spec.in, spec.out);
}
