/* SPDX-License-Identifier: BSD-2-Clause */
#include "service/prepare_leases.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "datapath/bpffs.h"
#include "base/ledger.h"
#include "base/log.h"
#include "host/accounts.h"
#include "host/hand_over.h"
#include "host/paths.h"
#include "identity/lease_wire.h"
#include "leases/lease_files.h"

/* Two directories, both root's meanwhile. */
struct moving {
	struct hand_over from, to;
	struct error *err;
};

static bool is_of_ledger(const char *name)
{
	return lease_record_named(name) || !strcmp(name, LEDGER_HEAD_FILE);
}

static int move(struct moving *m, const char *name)
{
	struct hand_over here = m->to;
	int r;

	here.dir = m->from.dir;
	here.path = m->from.path;
	r = hand_over_file(&here, name, m->err);
	if (!r && renameat(m->from.dir, name, m->to.dir, name) && errno != ENOENT)
		r = error_set(m->err, -errno, "%s/%s cannot be moved: %s", m->from.path, name, strerror(errno));
	return r;
}

static int move_record(const char *name, void *arg)
{
	return is_of_ledger(name) ? move(arg, name) : 0;
}

static int give_record(const char *name, void *arg)
{
	struct moving *m = arg;

	return lease_record_named(name) || !strcmp(name, LEDGER_FILE) || !strcmp(name, LEDGER_HEAD_FILE)
		       ? hand_over_file(&m->to, name, m->err)
		       : 0;
}

static int visit_grants(const char *name, void *arg)
{
	int64_t begin;

	(void)arg;
	return ledger_file_begin(LEDGER_GRANTS, name, &begin) ? 0 : 1;
}

/* The ledger is that of the grants, which stay with the history: leases were moved before there were any. */
static bool is_of_grants(const struct moving *m)
{
	return directory_visit_at(m->from.dir, visit_grants, NULL) == 1;
}

/* The files of a ledger go together, the ledger last: what a crash interrupts goes on at the next start. */
static int fill(struct moving *m)
{
	int r = 0;

	if (faccessat(m->to.dir, LEDGER_FILE, F_OK, AT_SYMLINK_NOFOLLOW) && !is_of_grants(m)) {
		r = directory_visit_at(m->from.dir, move_record, m);
		r = r ? r : move(m, LEDGER_FILE);
	}
	return r ? r : directory_visit_at(m->to.dir, give_record, m);
}

static int give_directory(struct moving *m)
{
	_cleanup_close_ int dir = -1;
	int r = mkdirat(m->from.dir, LEASES_DIR, 0700) && errno != EEXIST ? -errno : 0;

	r = r ? r : hand_over_enter(&m->from, LEASES_DIR, &dir, m->err);
	if (r)
		return r;
	m->to.dir = dir;
	r = fill(m);
	/* New files have the group of those who may read the agent's. */
	if (!r && (fchown(dir, m->to.uid, m->to.gid) || fchmod(dir, 02750)))
		r = -errno;
	return r;
}

static int prepare_directory(const struct config *c, uid_t agent, gid_t readers, uid_t own, struct error *err)
{
	char path[PATH_MAX + sizeof(LEASES_DIR) + 1];
	_cleanup_close_ int dir = -1;
	struct moving m = { .to = { .uid = own, .gid = readers, .path = path }, .err = err };
	int r = path_open_directory(c->state_dir, 0750, &dir, err), back;

	if (r)
		return r;
	snprintf(path, sizeof(path), "%s/" LEASES_DIR, c->state_dir);
	m.from = (struct hand_over){ .uid = agent, .gid = readers, .path = c->state_dir, .dir = dir };
	r = hand_over_hold(dir);
	r = r ? r : give_directory(&m);
	back = hand_over_end(&m.from);
	return r ? r : back;
}

/* A secret that the agent's user had. Others stay as the administrator made them, and are refused with a reason. */
static int give_secret(const char *path, uid_t agent, uid_t own, struct error *err)
{
	_cleanup_close_ int fd = -1;
	struct stat st;
	int r = path_open_secret(path, LEASES_USER, &fd, &st, err);

	if (r || !S_ISREG(st.st_mode) || st.st_nlink != 1 || (st.st_uid && st.st_uid != agent))
		return r == -ENOENT ? 0 : r;
	if (fchown(fd, own, (gid_t)-1) || fchmod(fd, 0600))
		return error_set(err, -errno, "%s cannot be given to " LEASES_USER ": %s", path, strerror(errno));
	log_info("%s is the secret of user " LEASES_USER " now, who alone may read it", path);
	return 0;
}

int prepare_leases(const struct config *c, uid_t agent, gid_t readers, struct error *err)
{
	const char *path, *key;
	uid_t own;
	int r;

	if (account_user(LEASES_USER, &own, NULL) || !own)
		return 0;
	r = prepare_directory(c, agent, readers, own, err);
	for (uint32_t i = 0; i < c->leases.n && !r; i++)
		for (uint32_t n = 0; (path = config_lease_secret(&c->leases.source[i], n, &key)) && !r; n++)
			r = give_secret(path, agent, own, err);
	if (r && !*err->text)
		error_set(err, r, "the directory of leases cannot be given to " LEASES_USER ": %s", strerror(-r));
	return r;
}
