/* SPDX-License-Identifier: BSD-2-Clause */
#include "attach/own_programs.h"
#include "attach/tcx.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "base/base.h"
#include "datapath/bpffs.h"
#include "datapath/pinned.h"
#include "host/paths.h"

/* Enters a program, or a dispatcher with the descriptor of a link to it; id 0: neither. */
static int own_add(struct own_programs *own, uint32_t id, int fd, struct own_program as)
{
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
	as.id = id;
	as.fd = copy;
	own->program[own->count++] = as;
	return 0;
}

static int add_program(struct own_programs *own, int fd)
{
	return own_add(own, program_id(fd), fd, (struct own_program){ 0 });
}

/* The id of the dispatcher to which a link attaches its program; 0: it is no such link. */
static uint32_t dispatcher_of(int link)
{
	struct bpf_link_info info = { 0 };
	uint32_t size = sizeof(info);

	if (link < 0 || bpf_obj_get_info_by_fd(link, &info, &size) || info.type != BPF_LINK_TYPE_TRACING)
		return 0;
	return info.tracing.target_obj_id;
}

struct pin_search {
	struct own_programs *own;
	const char *pin_path;
};

struct share_search {
	struct own_programs *own;
	const char *directory;
	uint32_t layout;
};

static int visit_share(const char *name, void *arg)
{
	const struct share_search *s = arg;
	unsigned ifindex, entry, priority;
	char path[PATH_MAX];
	int end = 0;

	if (sscanf(name, PIN_SHARE "_%u_%u_%u%n", &ifindex, &entry, &priority, &end) != 3 || name[end] ||
	    entry >= N_ENTRIES || priority > UINT8_MAX ||
	    (size_t)snprintf(path, sizeof(path), "%s/%s", s->directory, name) >= sizeof(path))
		return 0;

	_cleanup_close_ int fd = bpf_obj_get(path);

	return own_add(s->own, dispatcher_of(fd), fd,
		       (struct own_program){ .shared = ifindex,
					     .layout = s->layout,
					     .entry = (uint8_t)entry,
					     .priority = (uint8_t)priority });
}

/* Counts pins of every layout: an upgrade finds the programs of the former version. */
static int visit_layout(const char *name, void *arg)
{
#define X(name, ...) "prog_" #name,
	static const char *const pins[] = { ENTRY_PROGRAMS(X) };
#undef X
	const struct pin_search *s = arg;
	char directory[PATH_MAX];
	unsigned layout;
	int r = 0;

	for (size_t i = 0; !r && name[0] == 'v' && i < ARRAY_SIZE(pins); i++) {
		char path[PATH_MAX];

		if ((size_t)snprintf(path, sizeof(path), "%s/%s/%s", s->pin_path, name, pins[i]) >= sizeof(path))
			continue;

		_cleanup_close_ int fd = bpf_obj_get(path);

		r = add_program(s->own, fd);
	}
	if (!r && datapath_is_layout(name, &layout) &&
	    (size_t)snprintf(directory, sizeof(directory), "%s/%s", s->pin_path, name) < sizeof(directory))
		r = directory_visit(directory, visit_share, &(struct share_search){ s->own, directory, layout });
	return r;
}

int own_programs_read(const char *pin_path, const struct datapath *d, struct own_programs *ret)
{
	_cleanup_rights_ struct rights lesser = path_rights(pin_path);
	struct own_programs own = { .pin_path = strdup(pin_path), .by_links = tcx_wanted(pin_path) };
	struct pin_search search = { .own = &own, .pin_path = pin_path };
	int r = own.pin_path ? 0 : -ENOMEM;

	if (!r && d) {
#define X(name, ...) d->name,
		const int fds[] = { ENTRY_PROGRAMS(X) };
#undef X

		for (size_t i = 0; !r && i < ARRAY_SIZE(fds); i++)
			r = add_program(&own, fds[i]);
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
	free(own->pin_path);
	*own = (struct own_programs){ 0 };
}

static const struct own_program *own_find(const struct own_programs *own, uint32_t id)
{
	for (size_t i = 0; i < own->count; i++)
		if (own->program[i].id == id)
			return &own->program[i];
	return NULL;
}

const struct own_program *own_programs_share(const struct own_programs *own, uint32_t ifindex)
{
	const struct own_program *former = NULL;

	for (size_t i = 0; ifindex && i < own->count; i++) {
		const struct own_program *p = &own->program[i];

		if (p->shared == ifindex && p->layout == LAYOUT_VERSION)
			return p;
		if (p->shared == ifindex)
			former = p;
	}
	return former;
}

bool own_programs_shares(const struct own_programs *own, uint32_t ifindex, uint32_t id)
{
	for (size_t i = 0; ifindex && id && i < own->count; i++)
		if (own->program[i].shared == ifindex && own->program[i].id == id)
			return true;
	return false;
}

void own_programs_del_share(struct own_programs *own, uint32_t ifindex, uint32_t layout)
{
	size_t kept = 0;

	for (size_t i = 0; i < own->count; i++)
		if (ifindex && own->program[i].shared == ifindex && own->program[i].layout == layout)
			close(own->program[i].fd);
		else
			own->program[kept++] = own->program[i];
	own->count = kept;
}

int own_programs_add_share(struct own_programs *own, int link, uint32_t ifindex, uint8_t entry, uint8_t priority)
{
	uint32_t id = dispatcher_of(link);
	struct own_programs before = *own;
	int r = id ? own_add(own, id, link,
			     (struct own_program){ .shared = ifindex,
						   .layout = LAYOUT_VERSION,
						   .entry = entry,
						   .priority = priority })
		   : -EINVAL;

	if (r)
		return r;
	/* The former ones; the new one is the last. */
	for (size_t i = 0; i < before.count; i++)
		if (own->program[i].shared == ifindex && own->program[i].layout == LAYOUT_VERSION) {
			close(own->program[i].fd);
			own->program[i] = own->program[--own->count];
			break;
		}
	return 0;
}

const char *program_name(uint32_t id, char text[static BPF_OBJ_NAME_LEN])
{
	struct bpf_prog_info info = { 0 };
	uint32_t size = sizeof(info);
	_cleanup_close_ int fd = bpf_prog_get_fd_by_id(id);

	snprintf(text, BPF_OBJ_NAME_LEN, "%s",
		 fd >= 0 && !bpf_obj_get_info_by_fd(fd, &info, &size) && info.name[0] ? info.name : "?");
	return text;
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

	if (found && found->shared)
		return -EBUSY;

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
