/* SPDX-License-Identifier: BSD-2-Clause */
/* Opens, creates, closes and removes a datapath. */
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "base/log.h"
#include "base/rights.h"
#include "datapath/bpffs.h"
#include "datapath/datapath_private.h"
#include "datapath/former_sessions.h"
#include "datapath/hand_back.h"
#include "datapath/migration.h"
#include "datapath/namespace.h"
#include "datapath/running.h"
#include "host/paths.h"

static int make_grace(struct datapath *d)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts);

	d->grace_inner = bpf_map_create(BPF_MAP_TYPE_ARRAY, "grace_inner", sizeof(uint32_t), sizeof(uint32_t), 1, NULL);
	if (d->grace_inner < 0)
		return d->grace_inner;
	opts.inner_map_fd = (uint32_t)d->grace_inner;
	d->grace = bpf_map_create(BPF_MAP_TYPE_ARRAY_OF_MAPS, "grace", sizeof(uint32_t), sizeof(uint32_t), 1, &opts);
	return d->grace < 0 ? d->grace : 0;
}

/* Whether the pins were left by an agent that had become ready. */
static bool pins_usable(const char *pin_dir)
{
	struct datapath d;
	_cleanup_free_ char *json = NULL;
	uint64_t hash;
	bool usable;

	if (!pins_complete(pin_dir))
		return false;
	datapath_init(&d);
	d.pin_dir = (char *)pin_dir;
	pins_open(&d);
	usable = !migration_unused(pin_dir) && !pins_mmap(&d, NULL) && d.running_state &&
		 !running_load_from(d.running_state, d.running_size, &json, &hash);
	pins_close(&d);
	return usable;
}

/*
 * Whether a pin holds a program at a tc hook. Its maps are gone, so it drops what it would have translated, until
 * tcx_attach() makes the link run another.
 */
static bool holds_hook(const char *name)
{
	size_t length = strlen(name), fresh = strlen(PIN_FRESH);

	if (!strncmp(name, PIN_STAND_IN "_", strlen(PIN_STAND_IN "_")))
		return true;
	/* A link that was not yet in its place counts as none. */
	return !strncmp(name, PIN_LINK "_", strlen(PIN_LINK "_")) &&
	       strcmp(name + length - (length < fresh ? length : fresh), PIN_FRESH) != 0;
}

/* There are no maps to reuse, but perhaps a datapath of another layout. */
static int begin_afresh(struct datapath *d, bool replace, struct error *err)
{
	int r;

	if (!access(d->pin_dir, F_OK))
		log_warning("%s: left by an incomplete start; starting afresh", d->pin_dir);
	r = bpffs_remove_others(d->pin_dir, holds_hook);
	if (r)
		return error_set(err, r, "%s: cannot be removed: %s", d->pin_dir, strerror(-r));
	r = migration_begin(d, &d->migration, err);
	if (r == -EXDEV && replace) {
		log_warning("%s; it is replaced, as requested", err->text);
		d->replaced = true;
		return 0;
	}
	return r;
}

/*
 * If the pins' network namespace is gone, the records of interfaces are useless: their indexes belong to other
 * interfaces here.
 */
static int claim_namespace(struct datapath *d, bool gone, struct error *err)
{
	int r;

	if (gone) {
		log_warning("%s: its network namespace is gone; sessions and mappings are taken over, interfaces are "
			    "attached again",
			    d->pin_dir);
		memset(d->devices_at, 0, sizeof(*d->devices_at));
	}
	r = namespace_claim(d->pin_dir);
	return r ? error_set(err, r, "%s: the network namespace cannot be recorded: %s", d->pin_dir, strerror(-r)) : 0;
}

/* The part of datapath_open() that runs under the lock. */
static int open_locked(struct datapath *d, const struct config *c, bool replace, struct error *err)
{
	bool gone = false;
	int r = namespace_check(c->pin_path, &gone, err);

	/* It belongs to another namespace, so datapath_discard() must not remove it. */
	if (r) {
		d->reused = true;
		return r;
	}
	if (hand_back_undo(c->pin_path))
		log_info("%s was offered to 1.0.0, which has not taken it over; it is in use again", d->pin_dir);
	d->reused = pins_usable(d->pin_dir);
	if (!d->reused)
		r = begin_afresh(d, replace, err);
	if (!r)
		r = pins_make(d, c, err);
	if (r)
		return r;
	pins_open(d);
	if (!pins_complete(d->pin_dir))
		return error_set(err, -ENOENT, "%s: pins are missing", d->pin_dir);
	r = pins_mmap(d, err);
	if (!r && d->migration)
		r = migration_copy(d, d->migration, err);
	if (!r && d->migration)
		d->reused = true;
	else if (!r && d->reused && migration_resume(d, &d->migration))
		log_warning("the pins of another layout cannot be compared with the tables taken over from them");
	if (!r)
		r = claim_namespace(d, gone, err);
	if (!r && !d->global->epoch)
		datapath_raise_epoch(d);
	if (!r && make_grace(d))
		r = error_set(err, -errno, "an array of maps cannot be created: %s", strerror(errno));
	if (!r)
		r = fib_maps_make(d, err);
	return r;
}

static int lock_pins(const char *pin_path, struct datapath *d, struct error *err)
{
	int r;

	/* A detach that is about to end may remove the directory once. */
	for (int attempt = 0; attempt < 3; attempt++) {
		r = bpffs_prepare(pin_path, err);
		if (!r)
			r = bpffs_lock(pin_path, &d->lock_fd, err);
		if (r != -ENOENT)
			break;
	}
	if (!r && asprintf(&d->pin_dir, "%s/v%u", pin_path, LAYOUT_VERSION) < 0) {
		d->pin_dir = NULL;
		r = error_set(err, -ENOMEM, "out of memory");
	}
	/* Unmounts what bpffs_prepare() mounted, unless another agent uses it. */
	if (r)
		bpffs_release(pin_path);
	return r;
}

int datapath_open(const struct config *c, bool replace, struct datapath *ret, struct error *err)
{
	struct datapath d;
	int r;

	datapath_init(&d);
	r = lock_pins(c->pin_path, &d, err);
	if (!r)
		r = open_locked(&d, c, replace, err);
	if (r) {
		datapath_discard(&d);
		return r;
	}
	if (bpffs_is_private(c->pin_path))
		log_warning(
			"%s: is mounted only in the agent's own mount namespace; the datapath ends with it, whatever "
			"on_exit says; to run the agent in a network namespace, `nsenter --net=` keeps the mounts, "
			"`ip netns exec` does not",
			c->pin_path);
	*ret = d;
	return 0;
}

void datapath_log_kept(const struct datapath *d)
{
	if (bpffs_is_private(d->pin_dir))
		log_warning("the datapath at %s ends with the agent's own mount namespace; unless other processes are "
			    "in that, the interfaces drop all traffic until `detnat-agent --detach` in this network "
			    "namespace, or another start, removes the programs",
			    d->pin_dir);
	else
		log_info("the datapath at %s stays attached", d->pin_dir);
}

void datapath_discard(struct datapath *d)
{
	_cleanup_free_ char *pin_path = d->pin_dir ? strdup(d->pin_dir) : NULL;

	if (pin_path && (!d->reused || migration_unused(d->pin_dir))) {
		bpffs_remove_others(pin_path, holds_hook);
		*strrchr(pin_path, '/') = '\0';
		rmdir(pin_path);
	}
	datapath_close(d);
	if (pin_path)
		bpffs_release(pin_path);
}

static int visit_layout(const char *name, void *arg)
{
	unsigned version;

	return datapath_is_layout(name, &version);
}

int datapath_open_pinned(const char *pin_path, struct datapath *ret, struct error *err)
{
	_cleanup_rights_ struct rights lesser = path_rights(pin_path);
	struct datapath d;
	int r;

	if (!bpffs_is(pin_path) || directory_visit(pin_path, visit_layout, NULL) <= 0)
		return error_set(err, -ENOENT, "%s: nothing is pinned there", pin_path);
	datapath_init(&d);
	r = bpffs_lock(pin_path, &d.lock_fd, err);
	if (r)
		return r;
	if (asprintf(&d.pin_dir, "%s/v%u", pin_path, LAYOUT_VERSION) < 0)
		r = error_set(err, -ENOMEM, "out of memory");
	else
		pins_open(&d);
	if (!r)
		r = pins_mmap(&d, err);
	if (r) {
		datapath_close(&d);
		return r;
	}
	d.reused = true;
	*ret = d;
	return 0;
}

bool datapath_is_incomplete(const char *pin_path)
{
	_cleanup_rights_ struct rights lesser = path_rights(pin_path);
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/v%u", pin_path, LAYOUT_VERSION);
	return !access(path, F_OK) && !pins_complete(path);
}

static int peek_at(const char *pin_dir, char **ret_json, uint64_t *ret_file_hash)
{
	char path[PATH_MAX + 32];
	void *memory;
	size_t size;
	int r;

	snprintf(path, sizeof(path), "%s/" PIN_RUNNING, pin_dir);

	_cleanup_close_ int fd = bpf_obj_get(path);

	if (fd < 0)
		return fd;
	size = running_map_size(fd);
	memory = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		return -errno;
	r = running_load_from(memory, size, ret_json, ret_file_hash);
	munmap(memory, size);
	return r;
}

int datapath_peek_running(const char *pin_path, char **ret_json, uint64_t *ret_file_hash)
{
	_cleanup_rights_ struct rights lesser = path_rights(pin_path);
	char pin_dir[PATH_MAX];
	int r;

	snprintf(pin_dir, sizeof(pin_dir), "%s/v%u", pin_path, LAYOUT_VERSION);
	r = migration_unused(pin_dir) ? -ENOENT : peek_at(pin_dir, ret_json, ret_file_hash);
	/* The saved state of another layout, which is going to be taken over or replaced. */
	if (r && !migration_source(pin_path, pin_dir))
		r = peek_at(pin_dir, ret_json, ret_file_hash);
	return r;
}

void datapath_close(struct datapath *d)
{
	const int *const others[] = { &d->clock, &d->grace, &d->grace_inner, &d->lock_fd };

	datapath_load_abort(d);
	migration_free(take_pointer(d->migration));
	former_sessions_free(take_pointer(d->beyond));
	build_free(take_pointer(d->build));
	build_free(take_pointer(d->former));
	build_free(take_pointer(d->spare));
	d->tc_outside = d->tc_bare = d->grant_binding_change = d->agent_count = d->session_held = d->extent_release =
		-1;
	pins_close(d);
	fib_maps_close(d);
	stranger_maps_close(d);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		close_fd(others[i]);
	d->clock = d->grace = d->grace_inner = d->lock_fd = -1;
	free(take_pointer(d->pin_dir));
}

static int remove_layout(const char *name, void *arg)
{
	const int *dir = arg;
	unsigned version;

	return datapath_is_layout(name, &version) ? bpffs_remove_layout(*dir, name) : 0;
}

int datapath_unpin(const char *pin_path, struct error *err)
{
	_cleanup_close_ int dir = bpffs_is(pin_path) ? open(pin_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	int r = dir < 0 ? 0 : directory_visit_at(dir, remove_layout, &dir);

	if (r)
		return error_set(err, r, "%s: pins cannot be removed: %s", pin_path, strerror(-r));

	/* The directory around it is root's where the pins are another user's, or it is that user's affair, too. */
	_cleanup_rights_ struct rights was = rights_full();
	_cleanup_rights_ struct rights lesser = path_rights_beside(pin_path);

	rmdir(pin_path);
	return 0;
}
