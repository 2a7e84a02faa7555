/* SPDX-License-Identifier: BSD-2-Clause */
#include "pcp/epoch.h"

#include <bpf/bpf.h>

#include "base/base.h"
#include "datapath/pinned_map.h"

struct epoch {
	uint64_t began_s; /* CLOCK_BOOTTIME, plus one: 0 is a new map's */
};

static const struct pinned_map epoch_map = {
	.name = "pcp",
	.type = BPF_MAP_TYPE_ARRAY,
	.key_size = sizeof(uint32_t),
	.value_size = sizeof(struct epoch),
	.entries = 1,
};

static const uint32_t only = 0;

int pcp_epoch_restart(const char *pin_dir, uint64_t now_s)
{
	_cleanup_close_ int fd = pinned_map_open(pin_dir, &epoch_map);
	struct epoch e = { now_s + 1 };

	return fd < 0 ? fd : bpf_map_update_elem(fd, &only, &e, BPF_ANY);
}

int pcp_epoch_open(const char *pin_dir, uint64_t now_s, uint64_t *ret_began_s, bool *ret_new)
{
	_cleanup_close_ int fd = pinned_map_open(pin_dir, &epoch_map);
	struct epoch e = { 0 };
	int r = fd < 0 ? fd : bpf_map_lookup_elem(fd, &only, &e);
	bool is_new = !e.began_s || e.began_s - 1 > now_s;

	if (!r && is_new) {
		e.began_s = now_s + 1;
		r = bpf_map_update_elem(fd, &only, &e, BPF_ANY);
	}
	if (r)
		return r;
	*ret_began_s = e.began_s - 1;
	*ret_new = is_new;
	return 0;
}
