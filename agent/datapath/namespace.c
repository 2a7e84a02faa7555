/* SPDX-License-Identifier: BSD-2-Clause */
#include "datapath/namespace.h"

#include <bpf/bpf.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "datapath/bpffs.h"
#include "datapath/pinned.h"
#include "host/paths.h"

/* The inode of the first PID namespace (PROC_PID_INIT_INO); in another one, not all processes are visible. */
#define INITIAL_PID_NAMESPACE 0xEFFFFFFCU

#define NAMESPACE_TEXT sizeof("net:[18446744073709551615]")

/*
 * A bpffs lives in the kernel's memory, so the boot is always the pins' own. Its boot_id would not show it: managers of
 * containers mount a file of theirs over it, which a process with a procfs of its own does not see.
 */
struct identity {
	uint64_t inode;	 /* may be reused for another namespace */
	uint64_t cookie; /* is never reused; 0: unknown, before Linux 5.14 */
	char unused[40]; /* the boot_id in earlier versions; zero */
};

static const struct pinned_map identity_map = {
	.name = "namespace",
	.type = BPF_MAP_TYPE_ARRAY,
	.key_size = sizeof(uint32_t),
	.value_size = sizeof(struct identity),
	.entries = 1,
};

static const uint32_t only = 0;

/* The cookie of this process's network namespace; 0: unknown. */
static uint64_t own_cookie(void)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint64_t cookie = 0;
	socklen_t size = sizeof(cookie);

	return fd < 0 || getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size) ? 0 : cookie;
}

/* The cookie of another network namespace; 0: unknown, as without CAP_SYS_ADMIN. */
static uint64_t cookie_of(int namespace)
{
	_cleanup_close_ int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	uint64_t cookie;

	if (own < 0 || setns(namespace, CLONE_NEWNET))
		return 0;
	cookie = own_cookie();
	/* The next steps of this process must not happen there. */
	if (setns(own, CLONE_NEWNET))
		abort();
	return cookie;
}

static int read_own(struct identity *ret)
{
	struct identity own = { 0 };
	struct stat s;

	if (stat("/proc/self/ns/net", &s))
		return -errno;
	own.inode = s.st_ino;
	own.cookie = own_cookie();
	*ret = own;
	return 0;
}

int namespace_claim(const char *pin_dir)
{
	_cleanup_close_ int fd = pinned_map_open(pin_dir, &identity_map);
	struct identity own;
	int r = fd < 0 ? fd : read_own(&own);

	return r ? r : bpf_map_update_elem(fd, &only, &own, BPF_ANY);
}

struct pinned {
	const char *pin_path;
	struct identity identity;
};

static int visit_layout(const char *name, void *arg)
{
	struct pinned *p = arg;
	char path[PATH_MAX];

	if (name[0] != 'v' || snprintf(path, sizeof(path), "%s/%s", p->pin_path, name) >= (int)sizeof(path))
		return 0;

	_cleanup_close_ int fd = pinned_map_find(path, &identity_map);

	return fd >= 0 && !bpf_map_lookup_elem(fd, &only, &p->identity) && p->identity.inode;
}

static bool may_be_same(uint64_t cookie, uint64_t other)
{
	return !cookie || !other || cookie == other;
}

struct search {
	const char *text; /* net:[INODE] */
	struct identity identity;
	char where[PATH_MAX]; /* a path that refers to it */
	bool blind;	      /* some place could not be read */
};

/*
 * Whether a path that refers to the inode may refer to the namespace sought, and not to another that has reused the
 * inode. Something else may be mounted over it.
 */
static bool is_sought(const struct search *s, const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat found;

	return fd < 0 || fstat(fd, &found) || found.st_ino != s->identity.inode ||
	       may_be_same(s->identity.cookie, cookie_of(fd));
}

/* Looks for a mount of the namespace in a process's mountinfo (proc_pid_mountinfo(5)), by fields 4 and 5. */
static bool search_mounts(struct search *s, const char *process)
{
	char *line = NULL, root[64], point[PATH_MAX / 2], path[PATH_MAX];
	bool found = false;
	size_t size = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%s/mountinfo", process);
	f = fopen(path, "re");
	if (!f) {
		s->blind |= errno == EACCES || errno == EPERM;
		return false;
	}
	while (!found && getline(&line, &size, f) > 0) {
		if (sscanf(line, "%*u %*u %*s %63s %2047s", root, point) != 2 || strcmp(root, s->text))
			continue;
		snprintf(path, sizeof(path), "/proc/%.20s/root%s", process, point);
		found = is_sought(s, path);
	}
	if (found)
		snprintf(s->where, sizeof(s->where), "%s", point);
	free(line);
	fclose(f);
	return found;
}

/* The path is one below /proc: it goes with its process, or when a descriptor is closed. */
static bool is_namespace(struct search *s, const char *path)
{
	char target[NAMESPACE_TEXT + 1];
	ssize_t n = readlink(path, target, sizeof(target) - 1);

	if (n < 0) {
		s->blind |= errno == EACCES || errno == EPERM;
		return false;
	}
	target[n] = '\0';
	if (strcmp(target, s->text) || !is_sought(s, path) || access(path, F_OK))
		return false;
	snprintf(s->where, sizeof(s->where), "%s", path);
	return true;
}

static bool search_descriptors(struct search *s, const char *process)
{
	char path[PATH_MAX];
	struct dirent *e;
	bool found = false;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%s/fd", process);
	d = opendir(path);
	if (!d) {
		s->blind |= errno == EACCES || errno == EPERM;
		return false;
	}
	while (!found && (e = readdir(d))) {
		snprintf(path, sizeof(path), "/proc/%s/fd/%s", process, e->d_name);
		found = isdigit((unsigned char)e->d_name[0]) && is_namespace(s, path);
	}
	closedir(d);
	return found;
}

/* PID 1 may be harder to inspect than others, and other processes share its namespaces. */
static bool search_process(struct search *s, const char *process)
{
	bool blind = s->blind, found;
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "/proc/%s/ns/net", process);
	found = is_namespace(s, path) || search_descriptors(s, process) || search_mounts(s, process);
	if (!strcmp(process, "1"))
		s->blind = blind;
	return found;
}

/* A namespace exists as long as a process is in it, or it is mounted or held open somewhere. */
static bool lives(struct search *s)
{
	DIR *proc;
	struct dirent *e;
	struct stat pids;
	bool found = search_mounts(s, "self");

	if (found)
		return true;
	s->blind |= stat("/proc/self/ns/pid", &pids) || pids.st_ino != INITIAL_PID_NAMESPACE;
	proc = opendir("/proc");
	if (!proc) {
		s->blind = true;
		return false;
	}
	while (!found && (e = readdir(proc)))
		found = isdigit((unsigned char)e->d_name[0]) && search_process(s, e->d_name);
	closedir(proc);
	return found;
}

static bool is_same(const struct identity *a, const struct identity *b)
{
	return a->inode == b->inode && may_be_same(a->cookie, b->cookie);
}

/* Whether something is pinned that says whose it is. */
static bool read_pinned(struct pinned *p)
{
	_cleanup_rights_ struct rights lesser = path_rights(p->pin_path);

	return bpffs_is(p->pin_path) && directory_visit(p->pin_path, visit_layout, p) > 0;
}

int namespace_check(const char *pin_path, bool *ret_gone, struct error *err)
{
	struct pinned p = { .pin_path = pin_path };
	char text[NAMESPACE_TEXT];
	struct search s = { .text = text };
	struct identity own;
	int r = read_own(&own);

	*ret_gone = false;
	if (r)
		return error_set(err, r, "the network namespace cannot be determined: %s", strerror(-r));
	if (!read_pinned(&p) || is_same(&p.identity, &own))
		return 0;
	snprintf(text, sizeof(text), "net:[%" PRIu64 "]", p.identity.inode);
	s.identity = p.identity;
	/* Its inode has been reused. */
	if (p.identity.inode == own.inode) {
		*ret_gone = true;
		return 0;
	}
	if (lives(&s))
		return error_set(err, -EXDEV,
				 "%s: belongs to another network namespace, %s; nothing was changed. Run this there, "
				 "with 'nsenter --net=%.128s', or give this namespace a pin_path of its own",
				 pin_path, text, s.where);
	if (s.blind)
		return error_set(
			err, -EXDEV,
			"%s: belongs to another network namespace, %s, which may exist where this process "
			"cannot see it; nothing was changed. Run this there, or give this namespace a pin_path "
			"of its own; if it is gone, 'rm -r %s/v*' removes the pins",
			pin_path, text, pin_path);
	*ret_gone = true;
	return 0;
}
