/* SPDX-License-Identifier: BSD-2-Clause */
#include "recorder/pin.h"

#include <bpf/bpf.h>
#include <stdio.h>
#include <string.h>

#include <detnat/tables.h>

#include "base/base.h"
#include "datapath/pinned.h"
#include "host/paths.h"

static const uint32_t only = 0;

int history_pin_open(const char *pin_dir)
{
	static const struct pinned_map map = {
		.name = "history",
		.type = BPF_MAP_TYPE_ARRAY,
		.key_size = sizeof(only),
		.value_size = sizeof(struct history_pin),
		.entries = 1,
	};

	return pinned_map_open(pin_dir, &map);
}

void history_pin_find(const char *pin_path, struct history_pin *ret)
{
	_cleanup_rights_ struct rights lesser = path_rights(pin_path);
	_cleanup_close_ int pin = -1;
	_cleanup_free_ char *path = NULL;

	if (asprintf(&path, "%s/v%u/history", pin_path, LAYOUT_VERSION) < 0)
		path = NULL;
	else
		pin = bpf_obj_get(path);
	if (pin < 0 || history_pin_read(pin, ret))
		*ret = (struct history_pin){ 0 };
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
