/* SPDX-License-Identifier: BSD-2-Clause */
#include "peers/tables_identity.h"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/base.h"

#define BOOT_ID 36U

static uint64_t mix(uint64_t hash, const void *data, size_t size)
{
	const uint8_t *octet = data;

	for (size_t i = 0; i < size; i++)
		hash = (hash ^ octet[i]) * 0x100000001b3ULL;
	return hash;
}

uint64_t tables_identity(const struct datapath *d)
{
	_cleanup_close_ int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	struct bpf_map_info info = { 0 };
	uint32_t size = sizeof(info);
	char boot[BOOT_ID] = { 0 };
	uint64_t hash;

	if (fd < 0 || read(fd, boot, sizeof(boot)) != (ssize_t)sizeof(boot) ||
	    bpf_obj_get_info_by_fd(d->buckets, &info, &size))
		return 1;
	hash = mix(mix(0xcbf29ce484222325ULL, boot, sizeof(boot)), &info.id, sizeof(info.id));
	return hash ? hash : 1;
}
