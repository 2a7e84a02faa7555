/* SPDX-License-Identifier: BSD-2-Clause */
#include "attach/tcx.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "attach/attach.h"
#include "datapath/bpffs.h"
#include "detnat_takeover.skel.h"
#include "host/paths.h"

/* What the headers of Linux 6.1 lack. */
#define TCX_INGRESS	     46 /* BPF_TCX_INGRESS */
#define TCX_EGRESS	     47
#define LINK_TYPE_TCX	     11
#define FIRST		     (1U << 3) /* BPF_F_BEFORE, with nothing named */
#define PROGRAMS_AT_ONE_HOOK 64	       /* BPF_MPROG_MAX */
#define LOOPBACK	     1	       /* its index in every namespace */

/* The beginning of struct bpf_link_info, of a tcx link. */
struct tcx_info {
	uint32_t type;
	uint32_t id;
	uint32_t program;
	uint32_t padding;
	uint32_t ifindex; /* 0: the interface is gone, or the link was detached */
	uint32_t attach_type;
};

static const char *const side_names[N_TC_SIDES] = { "egress", "ingress", "into_vrf" };

static enum bpf_attach_type attach_type(enum tc_side side)
{
	return (enum bpf_attach_type)(side == TC_EGRESS ? TCX_EGRESS : TCX_INGRESS);
}

bool tcx_is_supported(void)
{
	static int supported = -1;

	if (supported < 0) {
		LIBBPF_OPTS(bpf_prog_query_opts, opts);

		supported = bpf_prog_query_opts(LOOPBACK, attach_type(TC_EGRESS), &opts) != -EINVAL;
	}
	return supported;
}

bool tcx_wanted(const char *pin_path)
{
	return tcx_is_supported() && !bpffs_is_private(pin_path);
}

/* A link, or the map of the program that stands in for it, in the directory of a layout. */
static int path_of(const char *pin_path, const char *layout, const char *what, uint32_t ifindex, enum tc_side side,
		   char text[static PATH_MAX])
{
	int n = snprintf(text, PATH_MAX, "%s/%s/%s_%u_%s", pin_path, layout, what, ifindex, side_names[side]);

	return n < PATH_MAX ? 0 : -ENAMETOOLONG;
}

static int own_path(const char *pin_path, const char *what, uint32_t ifindex, enum tc_side side,
		    char text[static PATH_MAX])
{
	char layout[16];

	snprintf(layout, sizeof(layout), "v%u", LAYOUT_VERSION);
	return path_of(pin_path, layout, what, ifindex, side, text);
}

static int visit_same(uint32_t id, void *arg)
{
	return id == *(const uint32_t *)arg;
}

/* Of an interface that was moved to another namespace, a link has the index there. */
static bool is_attached(int link, uint32_t ifindex, enum tc_side side, struct tcx_info *ret)
{
	struct tcx_info info = { 0 };
	uint32_t size = sizeof(info);

	if (link < 0 || bpf_obj_get_info_by_fd(link, &info, &size) || info.type != LINK_TYPE_TCX ||
	    info.ifindex != ifindex || info.attach_type != attach_type(side) ||
	    !tcx_visit_programs(ifindex, side, visit_same, &info.program))
		return false;
	*ret = info;
	return true;
}

struct search {
	const char *pin_path;
	uint32_t ifindex;
	enum tc_side side;
	int link;
	struct tcx_info info;
	int failed;
};

static int visit_layout(const char *name, void *arg)
{
	struct search *s = arg;
	char path[PATH_MAX];
	unsigned layout;

	if (!datapath_is_layout(name, &layout) || path_of(s->pin_path, name, PIN_LINK, s->ifindex, s->side, path))
		return 0;

	_cleanup_close_ int link = bpf_obj_get(path);

	if (!is_attached(link, s->ifindex, s->side, &s->info))
		return 0;
	s->link = take_fd(link);
	return 1;
}

/* The link that is pinned for a hook of an interface, and attached there: its descriptor, or -ENOENT. */
static int find(const char *pin_path, uint32_t ifindex, enum tc_side side, struct tcx_info *ret)
{
	_cleanup_rights_ struct rights lesser = path_rights(pin_path ?: "/");
	struct search s = { .pin_path = pin_path, .ifindex = ifindex, .side = side, .link = -ENOENT };
	char path[PATH_MAX];

	if (!pin_path || !ifindex || own_path(pin_path, PIN_LINK, ifindex, side, path))
		return -ENOENT;

	_cleanup_close_ int own = bpf_obj_get(path);

	if (is_attached(own, ifindex, side, ret))
		return take_fd(own);
	if (bpffs_is(pin_path) && directory_visit(pin_path, visit_layout, &s) == 1)
		*ret = s.info;
	return s.link;
}

uint32_t tcx_program(const char *pin_path, uint32_t ifindex, enum tc_side side)
{
	struct tcx_info info;
	_cleanup_close_ int link = find(pin_path, ifindex, side, &info);

	return link < 0 ? 0 : info.program;
}

uint32_t tcx_first(uint32_t ifindex, enum tc_side side)
{
	uint32_t id = 0;
	LIBBPF_OPTS(bpf_prog_query_opts, opts, .prog_ids = &id, .prog_cnt = 1);
	int r = tcx_is_supported() ? bpf_prog_query_opts((int)ifindex, attach_type(side), &opts) : -EINVAL;

	/* Where there are more, the kernel writes the first, too. */
	return !r || r == -ENOSPC ? id : 0;
}

struct front {
	uint32_t own;
	uint32_t beside; /* the program of detnat's other link at that hook */
	uint32_t found;
};

static int visit_front(uint32_t id, void *arg)
{
	struct front *f = arg;

	if (id == f->beside)
		return 0;
	f->found = id == f->own ? 0 : id;
	return 1;
}

uint32_t tcx_in_front(const char *pin_path, uint32_t ifindex, enum tc_side side)
{
	struct front f = { .own = tcx_program(pin_path, ifindex, side) };

	if (f.own && tcx_first(ifindex, side) == f.own)
		return 0;
	if (side != TC_EGRESS)
		f.beside = tcx_program(pin_path, ifindex, side == TC_INGRESS ? TC_INTO_VRF : TC_INGRESS);
	if (f.own)
		tcx_visit_programs(ifindex, side, visit_front, &f);
	return f.found;
}

/* Pins an object under a name that pin_swap() then puts in place of `path`. */
static int pin_fresh(int fd, const char *path, char fresh[static PATH_MAX])
{
	if (snprintf(fresh, PATH_MAX, "%s" PIN_FRESH, path) >= PATH_MAX)
		return -ENAMETOOLONG;
	unlink(fresh); /* left by a kill */
	return bpf_obj_pin(fd, fresh);
}

static int pin_swap(const char *fresh, const char *path)
{
	return rename(fresh, path) ? -errno : 0;
}

static int pin_anew(int fd, const char *path)
{
	char fresh[PATH_MAX];
	int r = pin_fresh(fd, path, fresh);

	return r ? r : pin_swap(fresh, path);
}

/*
 * Makes a link, or the one that is there, run a program, and pins it in this layout's directory. to_front: another link
 * takes the place of the one that is there, in front of all. The kernel moves none, and refuses a second link of the
 * same program.
 */
static int run(const char *pin_path, uint32_t ifindex, enum tc_side side, int fd, bool to_front)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = FIRST);
	struct tcx_info info, present;
	char path[PATH_MAX];
	_cleanup_close_ int former = find(pin_path, ifindex, side, &info), made = -1;
	bool afresh = former < 0 || to_front;
	int r = own_path(pin_path, PIN_LINK, ifindex, side, path);

	if (r)
		return r;
	if (afresh)
		made = r = bpf_link_create(fd, (int)ifindex, attach_type(side), &opts);
	else if (info.program != program_id(fd))
		r = bpf_link_update(former, fd, NULL);
	if (r < 0)
		return r;
	if (afresh) {
		r = pin_anew(made, path);
		/* Others may have pinned it, too. */
		return r || former < 0 ? r : bpf_link_detach(former);
	}

	_cleanup_close_ int pinned = bpf_obj_get(path);

	return is_attached(pinned, ifindex, side, &present) ? 0 : pin_anew(former, path);
}

static void destroy_takeover(struct detnat_takeover **skeleton)
{
	detnat_takeover__destroy(*skeleton);
}

/* Runs the program that stands in for fd. Its map is pinned, as the kernel empties one that only a program uses. */
static int run_instead(const char *pin_path, uint32_t ifindex, enum tc_side side, int fd, bool to_front)
{
	__attribute__((cleanup(destroy_takeover))) struct detnat_takeover *o = detnat_takeover__open_and_load();
	char path[PATH_MAX], fresh[PATH_MAX];
	uint32_t zero = 0;
	int r = o ? own_path(pin_path, PIN_STAND_IN, ifindex, side, path) : -errno;

	if (!r && bpf_map_update_elem(bpf_map__fd(o->maps.stood_in_for), &zero, &fd, BPF_ANY))
		r = -errno;
	if (!r)
		r = pin_fresh(bpf_map__fd(o->maps.stood_in_for), path, fresh);
	if (!r)
		r = run(pin_path, ifindex, side, bpf_program__fd(o->progs.tc_takeover), to_front);
	/* Only now, as until now a link that a kill left may have run through the former map. */
	return r ? r : pin_swap(fresh, path);
}

int tcx_attach(const char *pin_path, uint32_t ifindex, enum tc_side side, int fd, bool instead)
{
	bool to_front = tcx_in_front(pin_path, ifindex, side);
	char path[PATH_MAX];
	int r = own_path(pin_path, PIN_STAND_IN, ifindex, side, path);

	/* What stands in also keeps packets from the former link's program until that is detached. */
	if (!r && (instead || to_front))
		r = run_instead(pin_path, ifindex, side, fd, to_front);
	if (r || instead)
		return r;
	r = run(pin_path, ifindex, side, fd, false);
	if (!r) {
		unlink(path);
		snprintf(path + strlen(path), sizeof(path) - strlen(path), PIN_FRESH);
		unlink(path);
	}
	return r;
}

static int remove_of_layout(const char *name, void *arg)
{
	struct search *s = arg;
	char path[PATH_MAX];
	unsigned layout;
	int r;

	if (!datapath_is_layout(name, &layout) || path_of(s->pin_path, name, PIN_LINK, s->ifindex, s->side, path))
		return 0;

	_cleanup_close_ int link = bpf_obj_get(path);

	if (link < 0)
		return 0;
	r = bpf_link_detach(link);
	if (r && r != -ENOLINK)
		s->failed = r;
	else if (unlink(path))
		s->failed = -errno;
	if (!path_of(s->pin_path, name, PIN_STAND_IN, s->ifindex, s->side, path))
		unlink(path);
	return 0;
}

int tcx_detach(const char *pin_path, uint32_t ifindex, enum tc_side side)
{
	_cleanup_rights_ struct rights lesser = path_rights(pin_path ?: "/");
	struct search s = { .pin_path = pin_path, .ifindex = ifindex, .side = side, .link = -1 };

	if (pin_path && bpffs_is(pin_path))
		directory_visit(pin_path, remove_of_layout, &s);
	return s.failed;
}

int tcx_visit_programs(uint32_t ifindex, enum tc_side side, int (*visit)(uint32_t id, void *arg), void *arg)
{
	uint32_t ids[PROGRAMS_AT_ONE_HOOK];
	LIBBPF_OPTS(bpf_prog_query_opts, opts, .prog_ids = ids, .prog_cnt = PROGRAMS_AT_ONE_HOOK);
	int r = 0;

	if (!tcx_is_supported() || bpf_prog_query_opts((int)ifindex, attach_type(side), &opts))
		return 0;
	for (uint32_t k = 0; !r && k < opts.prog_cnt && k < PROGRAMS_AT_ONE_HOOK; k++)
		r = visit(ids[k], arg);
	return r;
}
