/* SPDX-License-Identifier: BSD-2-Clause */
#include "datapath/pinned.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "datapath/bpffs.h"

uint32_t program_id(int fd)
{
	struct bpf_prog_info info = { 0 };
	uint32_t size = sizeof(info);

	return fd >= 0 && !bpf_obj_get_info_by_fd(fd, &info, &size) ? info.id : 0;
}

uint32_t map_id(int fd)
{
	struct bpf_map_info info = { 0 };
	uint32_t size = sizeof(info);

	return fd >= 0 && !bpf_obj_get_info_by_fd(fd, &info, &size) ? info.id : 0;
}

long pinned_number(const char *name, const char *prefix)
{
	size_t length = strlen(prefix);
	unsigned number;
	int end = 0;

	if (strncmp(name, prefix, length) || sscanf(name + length, "_%u%n", &number, &end) != 1 || name[length + end])
		return -1;
	return number;
}

struct search {
	const char *pin_dir;
	const char *prefix;
	uint32_t id;
	int fd;
};

static int visit(const char *name, void *arg)
{
	struct search *s = arg;
	char path[PATH_MAX];

	if (pinned_number(name, s->prefix) < 0)
		return 0;
	snprintf(path, sizeof(path), "%s/%s", s->pin_dir, name);

	_cleanup_close_ int fd = bpf_obj_get(path);

	if (fd < 0 || program_id(fd) != s->id)
		return 0;
	s->fd = take_fd(fd);
	return 1;
}

int pinned_program(const char *pin_dir, const char *prefix, uint32_t id)
{
	struct search s = { .pin_dir = pin_dir, .prefix = prefix, .id = id, .fd = -1 };

	if (directory_visit(pin_dir, visit, &s) == 1)
		return s.fd;
	s.fd = bpf_prog_get_fd_by_id(id);
	return s.fd < 0 ? -errno : s.fd;
}

int pinned_map(const char *path, uint32_t id)
{
	_cleanup_close_ int fd = path ? bpf_obj_get(path) : -1;
	int by_id;

	if (fd >= 0)
		return map_id(fd) == id ? take_fd(fd) : -ESTALE;
	by_id = bpf_map_get_fd_by_id(id);
	return by_id < 0 ? -errno : by_id;
}
