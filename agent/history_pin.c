/* SPDX-License-Identifier: BSD-2-Clause */
#include "history_pin.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <limits.h>
#include <string.h>

static const uint32_t only = 0;

int history_pin_open(const char *pin_dir)
{
	char path[PATH_MAX];
	int fd, r;

	if (snprintf(path, sizeof(path), "%s/history", pin_dir) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = bpf_obj_get(path);
	if (fd >= 0)
		return fd;
	fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "history", sizeof(only), sizeof(struct history_pin), 1, NULL);
	if (fd < 0)
		return fd;
	r = bpf_obj_pin(fd, path);
	if (r) {
		close(fd);
		return r;
	}
	return fd;
}

int history_pin_read(int pin, struct history_pin *ret)
{
	int r = bpf_map_lookup_elem(pin, &only, ret);

	ret->hash[sizeof(ret->hash) - 1] = '\0';
	return r;
}

int history_pin_write(int pin, uint64_t line, const char hash[static HASH_TEXT])
{
	struct history_pin value = { .line = line };

	memcpy(value.hash, hash, HASH_TEXT);
	return bpf_map_update_elem(pin, &only, &value, BPF_ANY);
}
