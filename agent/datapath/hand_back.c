/* SPDX-License-Identifier: BSD-2-Clause */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/btf_layout.h"
#include "base/log.h"
#include "datapath/bpffs.h"
#include "datapath/chunk_maps.h"
#include "datapath/hand_back_private.h"
#include "datapath/migration_private.h"
#include "datapath/pinned.h"
#include "datapath/running.h"
#include "detnat_former.skel.h"

/* What both versions use as it is, or 1.0.0 copies from. */
static const char *const shared[] = {
	"buckets",
	"subscribers",
	"vlans",
	"counters",
	"events",
	"entries",
	"tc_entries",
	"drains",
	"history",
	"portmaps",
	"portmap_filters",
	"pcp",
	"peers",
	"lease_stamps",
	"prog_xdp_inside",
	"prog_xdp_outside",
	"prog_xdp_both",
	"prog_tc_from_inside",
	"prog_tc_from_outside",
	"prog_tc_from_both",
};

static int layout_dir(const char *pin_path, unsigned layout, char ret[static PATH_MAX])
{
	return snprintf(ret, PATH_MAX, "%s/v%u", pin_path, layout) < PATH_MAX ? 0 : -ENAMETOOLONG;
}

static int pin_mark(const char *pin_dir, const char *name)
{
	char path[PATH_MAX + 32];
	_cleanup_close_ int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, name, 4, 4, 1, NULL);

	snprintf(path, sizeof(path), "%s/%s", pin_dir, name);
	return fd < 0 ? fd : bpf_obj_pin(fd, path);
}

static void unpin_mark(const char *pin_dir, const char *name)
{
	char path[PATH_MAX + 32];

	snprintf(path, sizeof(path), "%s/%s", pin_dir, name);
	unlink(path);
}

/* Pins in the one directory what has that name in the other; nothing if there is none. */
static int share(const struct hand_back *h, const char *name)
{
	_cleanup_close_ int fd = migration_pin(h->datapath->pin_dir, name);
	char path[PATH_MAX + 256];

	snprintf(path, sizeof(path), "%s/%s", h->pin_dir, name);
	return fd < 0 ? 0 : bpf_obj_pin(fd, path);
}

static int share_chunk(const char *name, void *arg)
{
	return pinned_number(name, CHUNK_SUBSCRIBER) >= 0 || pinned_number(name, CHUNK_BUCKET) >= 0 ? share(arg, name)
												    : 0;
}

static int save_types(const struct hand_back *h)
{
	struct detnat_former *types = detnat_former__open();
	int r = types ? layout_save(h->pin_dir, bpf_object__btf(types->obj)) : -errno;

	detnat_former__destroy(types);
	return r;
}

/* Written last: with it the directory is complete. */
static int save_running(const struct hand_back *h, const char *json, uint64_t file_hash, struct error *err)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);
	size_t size = h->datapath->running_size;
	_cleanup_close_ int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, PIN_RUNNING, 4, (uint32_t)(size / RUNNING_PLACES),
						RUNNING_PLACES, &opts);
	void *memory = fd < 0 ? MAP_FAILED : mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	char path[PATH_MAX + 32];
	int r;

	if (memory == MAP_FAILED)
		return errno_or(ENOMEM);
	r = running_save_former(memory, size, json, file_hash, err);
	munmap(memory, size);
	snprintf(path, sizeof(path), "%s/" PIN_RUNNING, h->pin_dir);
	return r ? r : bpf_obj_pin(fd, path);
}

static int offer(struct hand_back *h, const char *json, uint64_t file_hash, struct error *err)
{
	int r = mkdir(h->pin_dir, 0700) ? -errno : pin_mark(h->pin_dir, PIN_OFFERED);

	/* 1.0.0 has no small ones. */
	if (!r)
		r = datapath_features_grow(h->datapath, &(struct settings){ .portmaps = 1 }, err);
	for (size_t i = 0; !r && i < ARRAY_SIZE(shared); i++)
		r = share(h, shared[i]);
	if (!r)
		r = directory_visit(h->datapath->pin_dir, share_chunk, h);
	if (!r)
		r = hand_back_copy_tables(h);
	if (!r)
		r = save_types(h);
	if (!r)
		r = hand_back_carry(h);
	if (!r)
		r = save_running(h, json, file_hash, err);
	return r ? r : pin_mark(h->datapath->pin_dir, PIN_MOVING);
}

int hand_back_begin(struct datapath *d, const char *json, uint64_t file_hash, struct hand_back **ret, struct error *err)
{
	struct hand_back *h = calloc(1, sizeof(*h));
	char *layout;
	int r;

	if (!h)
		return error_set(err, -ENOMEM, "out of memory");
	h->datapath = d;
	h->hash = h->counted = -1;
	snprintf(h->pin_dir, sizeof(h->pin_dir), "%s", d->pin_dir);
	layout = strrchr(h->pin_dir, '/');
	snprintf(layout, sizeof(h->pin_dir) - (size_t)(layout - h->pin_dir), "/v%u", HAND_BACK_LAYOUT);
	r = offer(h, json, file_hash, err);
	if (r) {
		error_set(err, r, "%s: the tables cannot be offered: %s", h->pin_dir, strerror(-r));
		bpffs_remove_directory(h->pin_dir);
		hand_back_uncount(d->pin_dir);
		hand_back_free(h);
		return r;
	}
	*ret = h;
	return 0;
}

/* The directory of 1.0.0, of either of its layouts. False: there is none yet. */
static bool find_former(const char *pin_dir, char ret[static PATH_MAX])
{
	_cleanup_free_ char *pin_path = strdup(pin_dir);

	if (!pin_path)
		return false;
	*strrchr(pin_path, '/') = '\0';
	for (unsigned layout = LAYOUT_OLDEST; layout < HAND_BACK_LAYOUT; layout++)
		if (!layout_dir(pin_path, layout, ret) && !access(ret, F_OK))
			return true;
	return false;
}

enum hand_back_state hand_back_state(const struct hand_back *h)
{
	char former[PATH_MAX];

	if (access(h->pin_dir, F_OK))
		return HAND_BACK_DONE;
	return find_former(h->pin_dir, former) ? HAND_BACK_STARTING : HAND_BACK_OFFERED;
}

int hand_back_carry(struct hand_back *h)
{
	enum hand_back_state state = hand_back_state(h);
	char former[PATH_MAX];

	if (state == HAND_BACK_STARTING && find_former(h->pin_dir, former))
		hand_back_help(h, former);
	else if (state == HAND_BACK_DONE && find_former(h->pin_dir, former))
		hand_back_count_datagrams(h, former);
	return hand_back_carry_sessions(h);
}

void hand_back_free(struct hand_back *h)
{
	if (h->table)
		munmap(h->table, sizeof(*h->table));
	close_fd(&h->hash);
	hand_back_free_extents(h);
	free(h->carried.entry);
	free(h);
}

bool hand_back_undo(const char *pin_path)
{
	char offered[PATH_MAX], own[PATH_MAX], former[PATH_MAX];

	if (layout_dir(pin_path, HAND_BACK_LAYOUT, offered) || layout_dir(pin_path, LAYOUT_VERSION, own) ||
	    !migration_is_offer(offered))
		return false;
	if (find_former(offered, former)) {
		/* Its programs are in place: it is taken over as any former version is. */
		if (pins_complete(former) && !migration_unused(former))
			return false;
		bpffs_remove_directory(former);
	}
	hand_back_uncount(own);
	unpin_mark(own, PIN_MOVING);
	bpffs_remove_directory(offered);
	return true;
}
