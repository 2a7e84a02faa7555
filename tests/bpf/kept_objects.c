// SPDX-License-Identifier: BSD-2-Clause
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <criterion/criterion.h>

#include "base/cleanup.h"
#include "base/fnv.h"

#include "kept_objects.h"
#include "kept_reset.h"

/*
 * Where objects are: PLACE/pins is a file system of pins, PLACE/locks has a file for each object, PLACE/slots one for
 * each test that runs at a time.
 */
#define PLACE_VARIABLE "DETNAT_KEPT_OBJECTS"

/*
 * Tests that run at a time. Each has copies of its own: an object that shares maps with another fits only the copy
 * of that one, so that tests that took any copy would hardly find two that belong together.
 */
#define SLOTS 64

/* Objects alike that a test uses at a time. */
#define COPIES 16

/* About 10 MB each, of which all may have a fifth of the memory. Maps that stand alone have a place each, too. */
#define MAX_KEPT	160
#define MEMORY_FOR_KEPT (48U << 20)

/* Programs of a few objects of a start and its reloads. */
#define MAX_GIVEN 8192

/*
 * Maps of programs that the agent creates by itself, without an object. Others that it creates are no map of a program,
 * or belong to one test.
 */
static const char *const alone[] = {
	"fib",	      "fib_nodes",	"grants",	  "grant_bindings", "portmaps", "portmap_filters",
	"strangers",  "stranger_pools", "stranger_hosts", "ports",	    "records6", "indices6",
	"addresses6", "prefixes6",	"hosts6"
};

/* The tests are linked with --wrap of these. */
int __real_bpf_object__load(struct bpf_object *o);
int __real_bpf_program__fd(const struct bpf_program *p);
int __wrap_bpf_program__fd(const struct bpf_program *p);
bool __real_bpf_program__autoload(const struct bpf_program *p);
bool __wrap_bpf_program__autoload(const struct bpf_program *p);
int __real_bpf_map_create(enum bpf_map_type type, const char *name, uint32_t key_size, uint32_t value_size,
			  uint32_t entries, const struct bpf_map_create_opts *opts);
int __wrap_bpf_map_create(enum bpf_map_type type, const char *name, uint32_t key_size, uint32_t value_size,
			  uint32_t entries, const struct bpf_map_create_opts *opts);

/* The programs that objects were given. libbpf knows no descriptor of them, and was told not to load them. */
static struct given {
	const struct bpf_program *program;
	int fd;
} given[MAX_GIVEN];
static unsigned n_given;

static const struct given *given_of(const struct bpf_program *p)
{
	for (unsigned i = n_given; i-- > 0;)
		if (given[i].program == p)
			return &given[i];
	return NULL;
}

int __wrap_bpf_program__fd(const struct bpf_program *p)
{
	const struct given *g = given_of(p);

	return g ? g->fd : __real_bpf_program__fd(p);
}

bool __wrap_bpf_program__autoload(const struct bpf_program *p)
{
	return given_of(p) || __real_bpf_program__autoload(p);
}

/* An object that was closed has left its place in memory to another. */
static void forget(const struct bpf_object *o)
{
	struct bpf_program *p;
	unsigned n = 0;

	for (unsigned i = 0; i < n_given; i++) {
		bool of_this = false;

		bpf_object__for_each_program(p, o) of_this |= p == given[i].program;
		if (of_this)
			close(given[i].fd);
		else
			given[n++] = given[i];
	}
	n_given = n;
}

/* An empty directory beside the runner, which stays: each runner mounts its own there, for itself alone. */
static bool make_place(char runner[static PATH_MAX], char place[static PATH_MAX])
{
	ssize_t n = readlink("/proc/self/exe", runner, PATH_MAX - 16);

	if (n <= 0)
		return false;
	runner[n] = '\0';
	strcat(strcpy(place, runner), "-kept");
	return !mkdir(place, 0700) || errno == EEXIST;
}

/*
 * The process that makes the namespace executes itself anew: its file is in the mounts of before, so that in a chroot
 * /proc/self/exe, by which Criterion starts each test, would lead outside.
 */
void kept_begin(char **argv)
{
	char runner[PATH_MAX], place[PATH_MAX], path[PATH_MAX + 16];
	const char *wanted = getenv("KEPT");

	if (getenv(PLACE_VARIABLE) || (wanted && !strcmp(wanted, "0")) || !make_place(runner, place) ||
	    unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("tmpfs", place, "tmpfs", 0, "mode=0700"))
		return;
	snprintf(path, sizeof(path), "%s/pins", place);
	if (mkdir(path, 0700) || mount("bpf", path, "bpf", 0, NULL))
		return;
	snprintf(path, sizeof(path), "%s/locks", place);
	if (mkdir(path, 0700))
		return;
	snprintf(path, sizeof(path), "%s/slots", place);
	if (mkdir(path, 0700))
		return;
	setenv(PLACE_VARIABLE, place, 1);
	execv(runner, argv);
}

/* ---- What makes an object the same */

static uint64_t add_text(uint64_t hash, const char *text)
{
	return fnv1a(hash, text, strlen(text) + 1);
}

/* The number of the map that an object shares with others: it was given one, or one is pinned. Else 0. */
static uint32_t shared_map(const struct bpf_map *m)
{
	struct bpf_map_info info = { 0 };
	uint32_t size = sizeof(info);
	const char *path = bpf_map__pin_path(m);
	_cleanup_close_ int pinned = -1;
	int fd = bpf_map__fd(m);

	if (fd < 0 && path)
		fd = pinned = bpf_obj_get(path);
	return fd >= 0 && !bpf_obj_get_info_by_fd(fd, &info, &size) ? info.id : 0;
}

static const void *initial_of(struct bpf_map *m, size_t *ret_size)
{
	*ret_size = 0;
	return bpf_map__is_internal(m) ? bpf_map__initial_value(m, ret_size) : NULL;
}

static uint64_t add_map(uint64_t hash, struct bpf_map *m)
{
	const uint32_t is[] = { shared_map(m),		(uint32_t)bpf_map__type(m), bpf_map__key_size(m),
				bpf_map__value_size(m), bpf_map__max_entries(m),    bpf_map__map_flags(m),
				bpf_map__autocreate(m) };
	size_t size = 0;
	/* Of others each test gets the octets of its own object. */
	const void *constants = bpf_map__map_flags(m) & BPF_F_RDONLY_PROG ? initial_of(m, &size) : NULL;

	hash = fnv1a(add_text(hash, bpf_map__name(m)), is, sizeof(is));
	return constants ? fnv1a(hash, constants, size) : hash;
}

/* Programs that replace or watch others are bound to them: such an object is loaded anew each time. */
static bool is_bound(const struct bpf_program *p)
{
	return bpf_program__type(p) != BPF_PROG_TYPE_XDP && bpf_program__type(p) != BPF_PROG_TYPE_SCHED_CLS &&
	       bpf_program__type(p) != BPF_PROG_TYPE_SYSCALL;
}

static bool key_of(const struct bpf_object *o, uint64_t *ret)
{
	uint64_t hash = add_text(FNV1A_BEGIN, bpf_object__name(o));
	struct bpf_program *p;
	struct bpf_map *m;

	bpf_object__for_each_map(m, o) hash = add_map(hash, m);
	bpf_object__for_each_program(p, o)
	{
		const uint32_t is[] = { bpf_program__type(p), bpf_program__expected_attach_type(p),
					bpf_program__flags(p), bpf_program__autoload(p) };

		if (bpf_program__autoload(p) && is_bound(p))
			return false;
		hash = fnv1a(add_text(hash, bpf_program__name(p)), is, sizeof(is));
	}
	*ret = hash;
	return true;
}

/* ---- Where it is */

struct kept_file {
	char name[48];
	int64_t used;
};

struct place {
	const char *base;
	char name[48]; /* KEY-SLOT-COPY */
	int lock;      /* held until the process ends */
	bool filled;
};

static void pin_of(const struct place *at, const char *kind, const char *name, char ret[static PATH_MAX])
{
	snprintf(ret, PATH_MAX, "%s/pins/%s/%s_%s", at->base, at->name, kind, name);
	/* The file system of pins takes no names with a dot. */
	for (char *c = strrchr(ret, '/'); *c; c++)
		if (*c == '.')
			*c = '-';
}

/* Removes an object that no test has; its lock is held. */
static void drop(const char *base, const char *name)
{
	char path[PATH_MAX], pin[PATH_MAX + NAME_MAX + 2];
	struct dirent *entry;
	DIR *d;

	snprintf(path, sizeof(path), "%s/pins/%s", base, name);
	d = opendir(path);
	while (d && (entry = readdir(d))) {
		snprintf(pin, sizeof(pin), "%s/%s", path, entry->d_name);
		if (*entry->d_name != '.')
			unlink(pin);
	}
	if (d)
		closedir(d);
	rmdir(path);
}

/* A locked file of the place, or -1 if a test has it, or it was removed meanwhile. kind: locks or slots. */
static int lock_file(const char *base, const char *kind, const char *name, int flags)
{
	char path[PATH_MAX];
	struct stat open_one, found;
	_cleanup_close_ int fd = -1;

	snprintf(path, sizeof(path), "%s/%s/%s", base, kind, name);
	fd = open(path, O_RDWR | O_CLOEXEC | flags, 0600);
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) || fstat(fd, &open_one) || stat(path, &found) ||
	    open_one.st_ino != found.st_ino)
		return -1;
	return take_fd(fd);
}

static int by_age(const void *a, const void *b)
{
	const struct kept_file *x = a, *y = b;

	return (x->used > y->used) - (x->used < y->used);
}

static unsigned max_kept(void)
{
	long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
	uint64_t fit = pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page / MEMORY_FOR_KEPT : 0;

	return fit < MAX_KEPT ? (unsigned)fit : MAX_KEPT;
}

/* Kept objects take memory of the kernel: those that were not used for longest go. */
static void drop_oldest(const char *base)
{
	struct kept_file file[MAX_KEPT * 2];
	char path[PATH_MAX];
	struct dirent *entry;
	unsigned n = 0, max = max_kept();
	struct stat st;
	DIR *d;

	snprintf(path, sizeof(path), "%s/locks", base);
	d = opendir(path);
	while (d && n < MAX_KEPT * 2 && (entry = readdir(d))) {
		if (*entry->d_name == '.' || fstatat(dirfd(d), entry->d_name, &st, 0))
			continue;
		snprintf(file[n].name, sizeof(file[n].name), "%.47s", entry->d_name);
		file[n++].used = st.st_mtim.tv_sec * 1000000000LL + st.st_mtim.tv_nsec;
	}
	qsort(file, n, sizeof(*file), by_age);
	for (unsigned i = 0; i + max < n; i++) {
		_cleanup_close_ int lock = lock_file(base, "locks", file[i].name, 0);

		if (lock < 0)
			continue;
		drop(base, file[i].name);
		unlinkat(dirfd(d), file[i].name, 0);
	}
	if (d)
		closedir(d);
}

/* The number of this test among those that run, held until the process ends; -1: there are too many. */
static int slot_of_test(const char *base)
{
	static int slot = -1;
	char name[16];

	for (int i = 0; slot < 0 && i < SLOTS; i++) {
		snprintf(name, sizeof(name), "%d", i);
		if (lock_file(base, "slots", name, O_CREAT) >= 0)
			slot = i;
	}
	return slot;
}

/* A place for an object that this test does not use yet: filled, or empty. False: it uses all, or none are kept. */
static bool find_place(uint64_t key, struct place *ret)
{
	struct stat st;
	int slot;

	ret->base = getenv(PLACE_VARIABLE);
	slot = ret->base ? slot_of_test(ret->base) : -1;
	for (unsigned copy = 0; slot >= 0 && copy < COPIES; copy++) {
		snprintf(ret->name, sizeof(ret->name), "%016llx-%x-%x", (unsigned long long)key, (unsigned)slot, copy);
		ret->lock = lock_file(ret->base, "locks", ret->name, O_CREAT);
		if (ret->lock < 0)
			continue;
		ret->filled = !fstat(ret->lock, &st) && st.st_size > 0;
		futimens(ret->lock, NULL);
		if (!ret->filled)
			drop_oldest(ret->base);
		return true;
	}
	return false;
}

/* ---- Keeping one, and taking it */

/* An empty directory of pins, in place of what an earlier test could not fill. */
static bool make_room(const struct place *at)
{
	char path[PATH_MAX];

	drop(at->base, at->name);
	snprintf(path, sizeof(path), "%s/pins/%s", at->base, at->name);
	return !mkdir(path, 0700);
}

/* From now on it is taken. */
static bool note_filled(const struct place *at)
{
	return write(at->lock, "1", 1) == 1;
}

/* What cannot be pinned fails the test: otherwise every test would load its own, and nobody see that. */
static bool keep(const struct place *at, const struct bpf_object *o, const bool *own)
{
	struct bpf_program *p;
	const struct bpf_map *m;
	char path[PATH_MAX];
	size_t i = 0;

	if (!make_room(at))
		return false;
	bpf_object__for_each_map(m, o)
	{
		if (!own[i++])
			continue;
		pin_of(at, "map", bpf_map__name(m), path);
		cr_assert_eq(bpf_obj_pin(bpf_map__fd(m), path), 0, "%s: %s", path, strerror(errno));
	}
	bpf_object__for_each_program(p, o)
	{
		if (!bpf_program__autoload(p))
			continue;
		pin_of(at, "prog", bpf_program__name(p), path);
		cr_assert_eq(bpf_obj_pin(bpf_program__fd(p), path), 0, "%s: %s", path, strerror(errno));
	}
	return note_filled(at);
}

/* Of programs that were taken. */
static size_t ids_of(const struct bpf_object *o, uint32_t *ret, size_t max)
{
	struct bpf_program *p;
	size_t n = 0;

	bpf_object__for_each_program(p, o)
	{
		const struct given *g = given_of(p);
		struct bpf_prog_info info = { 0 };
		uint32_t size = sizeof(info);

		if (!g)
			continue;
		cr_assert(n < max && !bpf_obj_get_info_by_fd(g->fd, &info, &size));
		ret[n++] = info.id;
	}
	return n;
}

static void take_maps(const struct place *at, const struct bpf_object *o, const bool *own)
{
	uint32_t ids[512];
	size_t i = 0, n_ids = ids_of(o, ids, sizeof(ids) / sizeof(*ids)), size;
	struct bpf_map *m;
	char path[PATH_MAX];

	bpf_object__for_each_map(m, o)
	{
		_cleanup_close_ int fd = -1;
		int r;

		if (!own[i++])
			continue;
		pin_of(at, "map", bpf_map__name(m), path);
		fd = bpf_obj_get(path);
		cr_assert_geq(fd, 0, "%s: %s", path, strerror(errno));
		r = bpf_map__type(m) == BPF_MAP_TYPE_PROG_ARRAY ? kept_reset_programs(fd, ids, n_ids)
								: kept_reset(fd, initial_of(m, &size));
		cr_assert_eq(r, 0, "%s: %s", path, strerror(-r));
		cr_assert_eq(bpf_map__reuse_fd(m, fd), 0, "%s", path);
	}
}

static void take_programs(const struct place *at, const struct bpf_object *o)
{
	struct bpf_program *p;
	char path[PATH_MAX];

	bpf_object__for_each_program(p, o)
	{
		if (!__real_bpf_program__autoload(p))
			continue;
		bpf_program__set_autoload(p, false);
		pin_of(at, "prog", bpf_program__name(p), path);
		cr_assert_lt(n_given, MAX_GIVEN);
		given[n_given] = (struct given){ p, bpf_obj_get(path) };
		cr_assert_geq(given[n_given].fd, 0, "%s: %s", path, strerror(errno));
		n_given++;
	}
}

int kept_load(struct bpf_object *o)
{
	struct bpf_map *m;
	struct place at;
	bool own[256];
	size_t n = 0;
	uint64_t key;
	int r;

	forget(o);
	if (!getenv(PLACE_VARIABLE) || !key_of(o, &key))
		return __real_bpf_object__load(o);
	bpf_object__for_each_map(m, o)
	{
		cr_assert_lt(n, sizeof(own));
		own[n++] = bpf_map__autocreate(m) && !shared_map(m);
	}
	if (!find_place(key, &at))
		return __real_bpf_object__load(o);
	if (at.filled) {
		take_programs(&at, o);
		take_maps(&at, o, own);
		return __real_bpf_object__load(o);
	}
	r = __real_bpf_object__load(o);
	if (r || !keep(&at, o, own))
		drop(at.base, at.name);
	return r;
}

static bool stands_alone(const char *name)
{
	for (size_t i = 0; i < sizeof(alone) / sizeof(*alone); i++)
		if (!strcmp(name, alone[i]))
			return true;
	return false;
}

int __wrap_bpf_map_create(enum bpf_map_type type, const char *name, uint32_t key_size, uint32_t value_size,
			  uint32_t entries, const struct bpf_map_create_opts *opts)
{
	const uint32_t is[] = { type, key_size, value_size, entries, opts ? opts->map_flags : 0 };
	char path[PATH_MAX];
	struct place at;
	int fd;

	if (!stands_alone(name) || !find_place(fnv1a(add_text(FNV1A_BEGIN, name), is, sizeof(is)), &at))
		return __real_bpf_map_create(type, name, key_size, value_size, entries, opts);
	pin_of(&at, "map", name, path);
	if (at.filled) {
		fd = bpf_obj_get(path);
		cr_assert(fd >= 0 && !kept_reset(fd, NULL), "%s: %s", path, strerror(errno));
		return fd;
	}
	fd = __real_bpf_map_create(type, name, key_size, value_size, entries, opts);
	if (fd < 0 || !make_room(&at) || bpf_obj_pin(fd, path) || !note_filled(&at))
		drop(at.base, at.name);
	return fd;
}
