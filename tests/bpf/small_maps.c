// SPDX-License-Identifier: BSD-2-Clause
#include <bpf/libbpf.h>
#include <criterion/criterion.h>

#include "datapath/datapath_private.h"

#include "fixture.h"

/* The tests are linked with --wrap=bpf_object__open_skeleton. */
int __real_bpf_object__open_skeleton(struct bpf_object_skeleton *s, const struct bpf_object_open_opts *opts);
int __wrap_bpf_object__open_skeleton(struct bpf_object_skeleton *s, const struct bpf_object_open_opts *opts);

bool full_sized_maps;

static const struct {
	const char *name;
	uint32_t entries;
} small[] = {
	{ "fragments", 1024 }, { "grants", 4096 },	    { "grant_bindings", 4096 },
	{ "portmaps", 4096 },  { "portmap_filters", 4096 }, { "routed_flows", 4096 },
};

int __wrap_bpf_object__open_skeleton(struct bpf_object_skeleton *s, const struct bpf_object_open_opts *opts)
{
	int r = __real_bpf_object__open_skeleton(s, opts);

	for (size_t i = 0; !r && !full_sized_maps && i < ARRAY_SIZE(small); i++) {
		struct bpf_map *m = bpf_object__find_map_by_name(*s->obj, small[i].name);

		if (m)
			cr_assert_eq(bpf_map__set_max_entries(m, small[i].entries), 0, "%s", small[i].name);
	}
	return r;
}
