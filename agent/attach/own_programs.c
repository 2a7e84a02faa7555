/* SPDX-License-Identifier: BSD-2-Clause */
#include "attach/own_programs.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "base/base.h"
#include "datapath/bpffs.h"
#include "datapath/pinned.h"

static int own_add(struct own_programs *own, int fd)
{
	uint32_t id = program_id(fd);
	struct own_program *grown;
	int copy;

	if (!id)
		return 0;
	grown = reallocarray(own->program, own->count + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	own->program = grown;
	copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (copy < 0)
		return -errno;
	own->program[own->count++] = (struct own_program){ .id = id, .fd = copy };
	return 0;
}

struct pin_search {
	struct own_programs *own;
	const char *pin_path;
};

/* Counts pins of every layout: an upgrade finds the programs of the former version. */
static int visit_layout(const char *name, void *arg)
{
#define X(name, ...) "prog_" #name,
	static const char *const pins[] = { ENTRY_PROGRAMS(X) };
#undef X
	const struct pin_search *s = arg;
	int r = 0;

	for (size_t i = 0; !r && name[0] == 'v' && i < ARRAY_SIZE(pins); i++) {
		char path[PATH_MAX];

		if ((size_t)snprintf(path, sizeof(path), "%s/%s/%s", s->pin_path, name, pins[i]) >= sizeof(path))
			continue;

		_cleanup_close_ int fd = bpf_obj_get(path);

		r = own_add(s->own, fd);
	}
	return r;
}

int own_programs_read(const char *pin_path, const struct datapath *d, struct own_programs *ret)
{
	struct own_programs own = { 0 };
	struct pin_search search = { .own = &own, .pin_path = pin_path };
	int r = 0;

	if (d) {
#define X(name, ...) d->name,
		const int fds[] = { ENTRY_PROGRAMS(X) };
#undef X

		for (size_t i = 0; !r && i < ARRAY_SIZE(fds); i++)
			r = own_add(&own, fds[i]);
	}
	if (!r && bpffs_is(pin_path))
		r = directory_visit(pin_path, visit_layout, &search);
	if (r) {
		own_programs_free(&own);
		return r;
	}
	*ret = own;
	return 0;
}

void own_programs_free(struct own_programs *own)
{
	for (size_t i = 0; i < own->count; i++)
		close(own->program[i].fd);
	free(own->program);
	*own = (struct own_programs){ 0 };
}

static const struct own_program *own_find(const struct own_programs *own, uint32_t id)
{
	for (size_t i = 0; i < own->count; i++)
		if (own->program[i].id == id)
			return &own->program[i];
	return NULL;
}

bool is_entry_program(const char *name)
{
#define X(name, ...) #name,
	static const char *const names[] = { ENTRY_PROGRAMS(X) };
#undef X

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(name, names[i]))
			return true;
	return false;
}

/* Whether a map is an empty PROG_ARRAY. */
static bool is_empty_prog_array(uint32_t id)
{
	struct bpf_map_info info = { 0 };
	uint32_t size = sizeof(info), program;
	_cleanup_close_ int fd = bpf_map_get_fd_by_id(id);

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &size) || info.type != BPF_MAP_TYPE_PROG_ARRAY)
		return false;
	for (uint32_t i = 0; i < info.max_entries; i++)
		if (!bpf_map_lookup_elem(fd, &i, &program))
			return false;
	return true;
}

/*
 * Whether a program is an entry program of a datapath whose pins are gone (removed by hand, or with their mount
 * namespace): the kernel has then emptied its PROG_ARRAY, and it only passes packets. Only the id of that array is
 * left, so this needs CAP_SYS_ADMIN; without it the program counts as foreign.
 */
static bool is_orphan(uint32_t id)
{
	uint32_t maps[16], size = sizeof(struct bpf_prog_info);
	struct bpf_prog_info info = { .nr_map_ids = ARRAY_SIZE(maps), .map_ids = (uintptr_t)maps };
	_cleanup_close_ int fd = bpf_prog_get_fd_by_id(id);

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &size) || !is_entry_program(info.name))
		return false;
	for (uint32_t i = 0; i < info.nr_map_ids && i < ARRAY_SIZE(maps); i++)
		if (is_empty_prog_array(maps[i]))
			return true;
	return false;
}

bool own_programs_has(const struct own_programs *own, uint32_t id)
{
	return own_find(own, id) || is_orphan(id);
}

int own_programs_open(const struct own_programs *own, uint32_t id)
{
	const struct own_program *found = own_find(own, id);
	int fd = found ? fcntl(found->fd, F_DUPFD_CLOEXEC, 3) : bpf_prog_get_fd_by_id(id);

	return fd < 0 ? -errno : fd;
}

int own_programs_refuse(const char *link, const char *program, uint32_t id, struct error *err)
{
	return error_set(err, -EBUSY,
			 "%s: carries detnat's program \"%s\" (id %u), whose pins are not at this pin path, or not "
			 "visible in this mount namespace, as under `ip netns exec`; leave it: it translates. Run this "
			 "with `nsenter --net=/run/netns/NAME`, which keeps the mounts, or end the other datapath with "
			 "`detnat-agent --detach` and its configuration",
			 link, program, id);
}
