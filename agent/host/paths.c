/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/paths.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "base/rights.h"
#include "host/accounts.h"

#define MAX_LINKS 40

/* A path being walked. */
struct walk {
	bool reading; /* a file that is only read, for which looser rules apply */
	bool rules;   /* the configuration: it names paths that root follows */
	bool make;    /* make missing directories */
	mode_t mode;  /* mode of the last directory made */
	int at;	      /* the directory reached so far */
	int links;    /* followed so far */
	uid_t owner;  /* who may own a file beside those who are trusted; 0: nobody */
	uid_t lesser; /* for root: the first other user who owns a part of the path; 0: none so far */
	gid_t lesser_group;
	char done[PATH_MAX]; /* its path, without a slash at the end */
	char rest[PATH_MAX]; /* names still to come */
};

bool path_trusts(uid_t uid)
{
	uid_t agent;

	return !uid || uid == geteuid() || (!account_user(AGENT_USER, &agent, NULL) && uid == agent);
}

/* Whoever owns a symbolic link chooses a path. For root, that is root. */
static bool may_lead(uid_t uid)
{
	return geteuid() ? path_trusts(uid) : !uid;
}

static bool group_trusted(gid_t gid)
{
	gid_t agent;

	return !gid || gid == getegid() || (!account_group(AGENT_USER, &agent) && gid == agent);
}

/* A user who runs the agent with sudo could also write to the file with sudo. */
static bool called_by(uid_t uid)
{
	const char *sudo = geteuid() ? NULL : getenv("SUDO_UID");
	char *end;

	return sudo && *sudo && strtoul(sudo, &end, 10) == uid && !*end;
}

static const char *user_name(uid_t uid, char text[static ACCOUNT_NAME])
{
	return account_name(uid, text) ? "unknown" : text;
}

/* Whether the user of detnat.service, by himself or by his group, can change it. */
static bool is_agents(const struct stat *st)
{
	uid_t uid;
	gid_t gid;

	if (account_user(AGENT_USER, &uid, &gid) || !uid)
		return false;
	return st->st_uid == uid || (st->st_mode & S_IWGRP && st->st_gid == gid);
}

/* Refuses an object at the path that another user could change. */
static int check(const struct stat *st, const char *path, const struct walk *w, struct error *err)
{
	bool reading = w->reading;
	bool sticky = S_ISDIR(st->st_mode) && st->st_mode & S_ISVTX;
	bool owned = w->owner && st->st_uid == w->owner && S_ISREG(st->st_mode);
	char user[ACCOUNT_NAME];

	if (!owned && !path_trusts(st->st_uid) && !(reading && called_by(st->st_uid)) &&
	    !(w->rules && is_admin_user(st->st_uid)))
		return error_set(
			err, -EPERM,
			"%s belongs to uid %u (%s), mode %04o, which can change its contents; `chown root %s`, or "
			"name another path",
			path, st->st_uid, user_name(st->st_uid, user), st->st_mode & 07777, path);
	if (w->rules && !geteuid() && is_agents(st))
		return error_set(
			err, -EPERM,
			"%s can be changed by the agent's user (owner %s, gid %u, mode %04o), which would choose "
			"paths for root; `chown root %s; chmod g-w %s`",
			path, user_name(st->st_uid, user), st->st_gid, st->st_mode & 07777, path, path);
	/* Devices and the like are refused elsewhere, for their type. */
	if (!S_ISDIR(st->st_mode) && !S_ISREG(st->st_mode))
		return 0;
	if (st->st_mode & S_IWOTH && !sticky)
		return error_set(
			err, -EPERM,
			"%s is writable for everybody (owner %s, mode %04o); `chmod o-w %s`, or name another path",
			path, user_name(st->st_uid, user), st->st_mode & 07777, path);
	if (st->st_mode & S_IWGRP && !sticky && !reading && !group_trusted(st->st_gid))
		return error_set(
			err, -EPERM,
			"%s is writable for gid %u (owner %s, mode %04o); `chmod g-w %s`, or name another path", path,
			st->st_gid, user_name(st->st_uid, user), st->st_mode & 07777, path);
	return 0;
}

int path_check_file(int fd, const char *path, struct error *err)
{
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	return check(&st, path, &(struct walk){ 0 }, err);
}

static int begin(struct walk *w, const char *path)
{
	_cleanup_free_ char *here = *path == '/' ? strdup("") : get_current_dir_name();

	if (!here)
		return -errno;
	if ((size_t)snprintf(w->rest, sizeof(w->rest), "%s/%s", here, path) >= sizeof(w->rest))
		return -ENAMETOOLONG;
	w->done[0] = '\0';
	w->at = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return w->at < 0 ? -errno : 0;
}

/* Takes the next name off the rest; false if there is none. */
static bool next_name(struct walk *w, char name[static NAME_MAX + 1])
{
	size_t skip = strspn(w->rest, "/"), length = strcspn(w->rest + skip, "/");

	if (!length || length > NAME_MAX)
		return false;
	memcpy(name, w->rest + skip, length);
	name[length] = '\0';
	memmove(w->rest, w->rest + skip + length, strlen(w->rest + skip + length) + 1);
	return true;
}

static bool is_last(const struct walk *w)
{
	return !w->rest[strspn(w->rest, "/")];
}

static int descend(struct walk *w, int fd, const char *name)
{
	size_t length = strlen(w->done);
	char *slash;

	close(w->at);
	w->at = fd;
	if (!strcmp(name, ".."))
		*((slash = strrchr(w->done, '/')) ? slash : w->done) = '\0';
	else if ((size_t)snprintf(w->done + length, sizeof(w->done) - length, "/%s", name) >= sizeof(w->done) - length)
		return -ENAMETOOLONG;
	return 0;
}

/* Continues with the target of a symbolic link. */
static int follow(struct walk *w, int link, const char *name)
{
	char target[PATH_MAX], rest[PATH_MAX];
	ssize_t size = readlinkat(link, "", target, sizeof(target) - 1);
	int root;

	if (size < 0)
		return -errno;
	target[size] = '\0';
	if (++w->links > MAX_LINKS)
		return -ELOOP;
	if ((size_t)snprintf(rest, sizeof(rest), "%s/%s", target, w->rest) >= sizeof(rest))
		return -ENAMETOOLONG;
	strcpy(w->rest, rest);
	if (*target != '/')
		return 0;
	root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return -errno;
	close(w->at);
	w->at = root;
	w->done[0] = '\0';
	return 0;
}

/* Links in /proc lead to open files; their text is no path. */
static bool is_proc(int fd)
{
	struct statfs fs;

	return !fstatfs(fd, &fs) && fs.f_type == PROC_SUPER_MAGIC;
}

static void name_of(int fd, char text[static 32])
{
	snprintf(text, 32, "/proc/self/fd/%d", fd);
}

/* Sets the mode after creation, as the umask is shared by all threads and must not be changed. */
static int make_directory(const struct walk *w, const char *name, mode_t mode)
{
	bool made = !mkdirat(w->at, name, mode);
	char self[32];
	struct stat st;

	if (!made && errno != EEXIST)
		return -errno;

	_cleanup_close_ int fd = openat(w->at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st))
		return -errno;
	name_of(fd, self);
	if (made && S_ISDIR(st.st_mode) && (st.st_mode & mode) != mode && chmod(self, (st.st_mode & 07777) | mode))
		return -errno;
	return take_fd(fd);
}

/* Opens the next name without following it; makes the directory if requested. */
static int open_name(const struct walk *w, const char *name)
{
	int fd = openat(w->at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT && w->make)
		return make_directory(w, name, is_last(w) ? w->mode : 0755);
	return fd < 0 ? -errno : fd;
}

static void note_lesser(struct walk *w, const struct stat *st)
{
	if (geteuid() || w->lesser)
		return;
	w->lesser = st->st_uid;
	w->lesser_group = st->st_gid;
}

/* Advances by one name: 1, 0 at the end, or -errno. */
static int step(struct walk *w, struct error *err)
{
	char name[NAME_MAX + 1], path[PATH_MAX], user[ACCOUNT_NAME];
	struct stat st;
	int r;

	if (!next_name(w, name))
		return is_last(w) ? 0 : -ENAMETOOLONG;
	if (!strcmp(name, "."))
		return 1;
	if (w->make && w->lesser)
		return error_set(err, -EREMOTE,
				 "%s/%s is in a directory of uid %u (%s), where root makes and uses nothing; name "
				 "another path, or run the agent as that user",
				 w->done, name, w->lesser, user_name(w->lesser, user));

	_cleanup_close_ int fd = open_name(w, name);

	if (fd < 0)
		return fd;
	if (fstat(fd, &st))
		return -errno;
	if ((size_t)snprintf(path, sizeof(path), "%s/%s", w->done, name) >= sizeof(path))
		return -ENAMETOOLONG;
	note_lesser(w, &st);
	if (S_ISLNK(st.st_mode)) {
		if (!may_lead(st.st_uid) && !(w->reading && called_by(st.st_uid)))
			return error_set(
				err, -EPERM,
				"%s is a symbolic link of uid %u (%s), which is not followed; `rm %s`, or name "
				"another path",
				path, st.st_uid, user_name(st.st_uid, user), path);
		if (!is_proc(fd)) {
			r = follow(w, fd, name);
			return r ? r : 1;
		}
		close(fd);
		fd = openat(w->at, name, O_PATH | O_CLOEXEC);
		if (fd < 0 || fstat(fd, &st))
			return -errno;
	}
	r = check(&st, path, w, err);
	if (!r)
		r = descend(w, take_fd(fd), name);
	return r ? r : 1;
}

/* Walks the path to its end; the caller closes the descriptor in *w. */
static int walk(struct walk *w, const char *path, struct error *err)
{
	int r;

	if (err)
		err->text[0] = '\0';
	w->at = -1;
	r = begin(w, path);
	if (r)
		return r;
	do
		r = step(w, err);
	while (r > 0);
	return r;
}

static void end_walk(const struct walk *w)
{
	close_fd(&w->at);
}

static int open_checked(struct walk *w, const char *path, int flags, int *ret_fd, struct error *err)
{
	char self[32];
	int r = walk(w, path, err), fd;

	if (r)
		return r;
	/* Reopens the checked object, whatever the name leads to by now. */
	name_of(w->at, self);
	fd = open(self, flags | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

int path_open_file(const char *path, int flags, int *ret_fd, struct error *err)
{
	__attribute__((cleanup(end_walk))) struct walk w = { .reading = true };

	return open_checked(&w, path, flags, ret_fd, err);
}

int path_open_rules(const char *path, int flags, int *ret_fd, struct error *err)
{
	__attribute__((cleanup(end_walk))) struct walk w = { .reading = true, .rules = true };

	return open_checked(&w, path, flags, ret_fd, err);
}

int path_open_secret(const char *path, const char *user, int *ret_fd, struct stat *ret, struct error *err)
{
	__attribute__((cleanup(end_walk))) struct walk w = { .reading = true };
	struct error why = { 0 };
	int r;

	if (account_user(user, &w.owner, NULL))
		w.owner = 0;
	r = open_checked(&w, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, ret_fd, &why);
	if (!r)
		return fstat(*ret_fd, ret) ? error_set(err, -errno, "%s cannot be read: %s", path, strerror(errno)) : 0;
	if (*why.text)
		return error_set(err, r, "%s", why.text);
	if (r == -ENOENT)
		return r;
	if (r == -EACCES)
		return error_set(err, r, "%s cannot be read by uid %u; `chown %s: %s`", path, geteuid(), user, path);
	return error_set(err, r, "%s cannot be opened: %s", path, strerror(-r));
}

int path_check(const char *path, struct error *err)
{
	__attribute__((cleanup(end_walk))) struct walk w = { 0 };
	int r = walk(&w, path, err);

	return r == -ENOENT ? 0 : r;
}

static int make_directories(struct walk *w, const char *path, struct error *err)
{
	int r = walk(w, path, err);
	struct stat st;

	if (r)
		return r;
	if (fstat(w->at, &st))
		return -errno;
	return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

int path_make_directory(const char *path, mode_t mode, struct error *err)
{
	__attribute__((cleanup(end_walk))) struct walk w = { .make = true, .mode = mode };

	return make_directories(&w, path, err);
}

int path_open_directory(const char *path, mode_t mode, int *ret_fd, struct error *err)
{
	__attribute__((cleanup(end_walk))) struct walk w = { .make = true, .mode = mode };
	int r = make_directories(&w, path, err), fd;
	char self[32];

	if (r)
		return r;
	name_of(w.at, self);
	fd = open(self, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

/* The first other user on the way, as far as the path leads; 0: there is none, or this is not root. */
static uid_t find_lesser(const char *path, gid_t *ret_group)
{
	__attribute__((cleanup(end_walk))) struct walk w = { .reading = true, .at = -1 };
	struct error ignored;

	if (!geteuid())
		walk(&w, path, &ignored);
	*ret_group = w.lesser_group;
	return w.lesser;
}

struct rights path_rights(const char *path)
{
	gid_t group;
	uid_t user = find_lesser(path, &group);

	return rights_take(user, group);
}

struct rights path_rights_beside(const char *path)
{
	const char *slash = strrchr(path, '/');
	char parent[PATH_MAX];

	snprintf(parent, sizeof(parent), "%.*s", slash ? (int)(slash - path) + 1 : 1, slash ? path : ".");
	return path_rights(parent);
}

bool path_is_anothers(const char *path)
{
	gid_t group;

	return find_lesser(path, &group);
}
