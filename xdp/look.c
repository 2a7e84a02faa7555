/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads what is under libxdp's dispatcher from the kernel: from the dispatcher's own configuration and from the links
 * to its slots. So it sees them without libxdp's pins, too, which others may remove, and whatever libxdp put it there.
 */
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xdp/prog_dispatcher.h>

#include "helper.h"

#define DISPATCHER "xdp_dispatcher"
/* The kernel keeps this much of a name. */
#define MAX_MAPS 32U

_Static_assert(SHARE_MAX_PROGRAMS == MAX_DISPATCHER_ACTIONS, "an answer has room for all");

struct dispatcher {
	uint32_t id;
	int fd;
	struct btf *btf;
	struct xdp_dispatcher_config config;
};

static void dispatcher_close(struct dispatcher *d)
{
	close_fd(&d->fd);
	btf__free(d->btf);
}

static int program_info(int fd, struct bpf_prog_info *ret, uint32_t *maps)
{
	uint32_t size = sizeof(*ret);

	*ret = (struct bpf_prog_info){ .nr_map_ids = maps ? MAX_MAPS : 0, .map_ids = (uintptr_t)maps };
	return bpf_obj_get_info_by_fd(fd, ret, &size) ? -errno : 0;
}

/* Reads the configuration in the dispatcher's only map: its read-only data. False: it is no dispatcher. */
static bool read_config(uint32_t map_id, struct xdp_dispatcher_config *ret)
{
	_cleanup_close_ int fd = bpf_map_get_fd_by_id(map_id);
	struct bpf_map_info info = { 0 };
	uint32_t size = sizeof(info), zero = 0;
	_cleanup_free_ void *value = NULL;

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &size) || info.type != BPF_MAP_TYPE_ARRAY ||
	    info.key_size != sizeof(zero))
		return false;
	value = calloc(1, info.value_size + sizeof(*ret));
	if (!value || bpf_map_lookup_elem(fd, &zero, value))
		return false;
	memcpy(ret, value, sizeof(*ret));
	return ret->magic == XDP_DISPATCHER_MAGIC;
}

static bool dispatcher_open(uint32_t id, char name[static SHARE_NAME], struct dispatcher *ret)
{
	uint32_t maps[MAX_MAPS] = { 0 };
	struct bpf_prog_info info;
	struct dispatcher d = { .id = id, .fd = bpf_prog_get_fd_by_id(id) };

	snprintf(name, SHARE_NAME, "?");
	if (d.fd < 0 || program_info(d.fd, &info, maps)) {
		dispatcher_close(&d);
		return false;
	}
	snprintf(name, SHARE_NAME, "%s", info.name);
	if (strcmp(name, DISPATCHER) || info.nr_map_ids != 1 || !read_config(maps[0], &d.config)) {
		dispatcher_close(&d);
		return false;
	}
	d.btf = info.btf_id ? btf__load_from_kernel_by_id(info.btf_id) : NULL;
	*ret = d;
	return true;
}

/*
 * The number of the slot that is this function of the dispatcher. Linux 6.1 gives the function of the dispatcher
 * itself: then it is `otherwise`.
 */
static unsigned slot_of(const struct dispatcher *d, uint32_t function, unsigned otherwise)
{
	const struct btf_type *type = d->btf ? btf__type_by_id(d->btf, function) : NULL;
	const char *name = type ? btf__name_by_offset(d->btf, type->name_off) : NULL;
	unsigned slot;

	return name && sscanf(name, "prog%u", &slot) == 1 ? slot : otherwise;
}

static bool jumps_through(const struct bpf_prog_info *info, const uint32_t *maps, int entries)
{
	struct bpf_map_info map = { 0 };
	uint32_t size = sizeof(map);

	if (entries < 0 || bpf_obj_get_info_by_fd(entries, &map, &size))
		return false;
	for (uint32_t i = 0; i < info->nr_map_ids && i < MAX_MAPS; i++)
		if (maps[i] == map.id)
			return true;
	return false;
}

/* Enters the program of the nth link to a slot. */
static void add_program(const struct dispatcher *d, struct look *l, int link, const struct bpf_link_info *info,
			unsigned nth, int entries)
{
	_cleanup_close_ int fd = bpf_prog_get_fd_by_id(info->prog_id);
	unsigned slot = slot_of(d, info->tracing.target_btf_id, nth);
	uint32_t maps[MAX_MAPS] = { 0 };
	struct bpf_prog_info program;
	struct share_program *p;

	if (slot >= MAX_DISPATCHER_ACTIONS || l->link[slot] >= 0 || fd < 0 || program_info(fd, &program, maps))
		return;
	p = &l->found.program[slot];
	*p = (struct share_program){
		.id = info->prog_id,
		.chain = d->config.chain_call_actions[slot] & ~(1U << XDP_DISPATCHER_RETVAL),
		.priority = (uint8_t)d->config.run_prios[slot],
		.frags = (d->config.program_flags[slot] & BPF_F_XDP_HAS_FRAGS) != 0,
		.own = jumps_through(&program, maps, entries),
	};
	snprintf(p->name, sizeof(p->name), "%s", program.name);
	l->link[slot] = dup(link);
}

/* A program in the place of another, not one that watches it. */
static bool replaces(const struct bpf_link_info *info, uint32_t target)
{
	uint32_t type = info->tracing.attach_type;

	return info->type == BPF_LINK_TYPE_TRACING && info->tracing.target_obj_id == target &&
	       type != BPF_TRACE_FENTRY && type != BPF_TRACE_FEXIT && type != BPF_MODIFY_RETURN;
}

/* In the order of their ids: libxdp makes the links of a dispatcher slot by slot. */
static void read_links(const struct dispatcher *d, struct look *l, int entries)
{
	unsigned n = 0;
	uint32_t id = 0;

	while (!bpf_link_get_next_id(id, &id)) {
		_cleanup_close_ int fd = bpf_link_get_fd_by_id(id);
		struct bpf_link_info info = { 0 };
		uint32_t size = sizeof(info);

		if (fd >= 0 && !bpf_obj_get_info_by_fd(fd, &info, &size) && replaces(&info, d->id))
			add_program(d, l, fd, &info, n++, entries);
	}
}

/* Removes the gaps that slots without programs are. */
static void close_gaps(struct look *l)
{
	unsigned n = 0;

	for (unsigned slot = 0; slot < SHARE_MAX_PROGRAMS; slot++) {
		if (l->link[slot] < 0)
			continue;
		l->found.program[n] = l->found.program[slot];
		l->link[n] = l->link[slot];
		if (n != slot) {
			l->found.program[slot] = (struct share_program){ 0 };
			l->link[slot] = -1;
		}
		if (l->found.program[n].own && l->own == SHARE_MAX_PROGRAMS)
			l->own = n;
		n++;
	}
	l->found.n_programs = (uint8_t)n;
}

/* Whether libxdp would find the dispatcher, which it keeps by name of interface and program. */
static bool is_pinned(uint32_t ifindex, uint32_t id)
{
	const char *root = getenv("LIBXDP_BPFFS");
	char path[256];

	snprintf(path, sizeof(path), "%s/xdp/dispatch-%u-%u", root ? root : "/sys/fs/bpf", ifindex, id);
	return !access(path, F_OK);
}

int look_at(uint32_t ifindex, int entries, struct look *ret, struct error *err)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, xdp);
	struct look l = { .own = SHARE_MAX_PROGRAMS };
	struct dispatcher d;
	char name[IF_NAMESIZE];
	int r = if_indextoname(ifindex, name) ? bpf_xdp_query((int)ifindex, 0, &xdp) : -ENODEV;

	for (unsigned i = 0; i < SHARE_MAX_PROGRAMS; i++)
		l.link[i] = -1;
	*ret = l;
	if (r)
		return error_set(err, r, r == -ENODEV ? "the interface is gone" : "its XDP programs cannot be read");
	l.prog_id = xdp.drv_prog_id ? xdp.drv_prog_id : xdp.skb_prog_id ? xdp.skb_prog_id : xdp.prog_id;
	if (xdp.drv_prog_id || xdp.skb_prog_id)
		l.found.mode = xdp.drv_prog_id ? SHARE_NATIVE : SHARE_SKB;
	if (l.prog_id && dispatcher_open(l.prog_id, l.prog_name, &d)) {
		l.found.dispatcher = d.id;
		l.found.dispatcher_version = d.config.dispatcher_version;
		l.found.frags = d.config.is_xdp_frags;
		l.found.unpinned = !is_pinned(ifindex, d.id);
		read_links(&d, &l, entries);
		close_gaps(&l);
		dispatcher_close(&d);
	}
	*ret = l;
	return 0;
}

void look_close(struct look *l)
{
	for (unsigned i = 0; i < SHARE_MAX_PROGRAMS; i++)
		close_fd(&l->link[i]);
}
