/* SPDX-License-Identifier: BSD-2-Clause */
#include "peers/tables_identity.h"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/base.h"
#include "base/fnv.h"

#define BOOT_ID 36U

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
	hash = fnv1a(fnv1a(FNV1A_BEGIN, boot, sizeof(boot)), &info.id, sizeof(info.id));
	return hash ? hash : 1;
}
