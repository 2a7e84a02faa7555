/* SPDX-License-Identifier: BSD-2-Clause */
#include <bpf/bpf.h>
#include <unistd.h>

#include "base/base.h"
#include "base/btf_layout.h"
#include "datapath/chunk_maps.h"
#include "datapath/datapath_private.h"

/* After this many missing chunks in a row, no more are expected. */
#define MISSING_MAX 16U

/* Pins the chunks of a table that have no pins yet. */
static void pin_chunks(const struct datapath *d, const char *table, const char *chunks)
{
	char path[PATH_MAX];
	unsigned missing = 0;
	_cleanup_close_ int outer = bpf_obj_get(pin_path_of(d, table, path));

	for (uint32_t i = 0; outer >= 0 && missing < MISSING_MAX; i++) {
		const char *pin = chunk_pin(d->pin_dir, chunks, i, path);
		_cleanup_close_ int fd = outer_chunk(outer, i, pin);

		missing = fd < 0 ? missing + 1 : 0;
		if (fd >= 0 && access(pin, F_OK))
			bpf_obj_pin(fd, pin);
	}
}

void datapath_pin_missing(const char *pin_dir)
{
	const struct datapath only = { .pin_dir = (char *)pin_dir }, *d = &only;
	char path[PATH_MAX];
	struct btf *types;
	_cleanup_close_ int mappings = bpf_obj_get(pin_path_of(d, "mappings", path));

	types = mappings < 0 ? NULL : layout_read(d->pin_dir, mappings);
	if (types) {
		layout_save(d->pin_dir, types);
		btf__free(types);
	}
	pin_chunks(d, "subscribers", CHUNK_SUBSCRIBER);
	pin_chunks(d, "buckets", CHUNK_BUCKET);
}
