/* SPDX-License-Identifier: BSD-2-Clause */
#include "service/prepare.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "attach/attach.h"
#include "base/log.h"
#include "datapath/bpffs.h"
#include "datapath/datapath.h"
#include "guard/guard.h"
#include "history/history_record.h"
#include "host/accounts.h"
#include "host/paths.h"
#include "identity/identity.h"
#include "leases/chained_file.h"
#include "service/startup.h"

struct owner {
	const char *dir;
	uid_t uid;
	gid_t gid;
};

static int give(const char *path, const struct owner *to)
{
	struct stat st;

	if (lstat(path, &st))
		return errno == ENOENT ? 0 : -errno;
	if (st.st_uid == to->uid)
		return 0;
	return lchown(path, to->uid, to->gid) ? -errno : 0;
}

static int give_below(const char *name, void *arg)
{
	const struct owner *to = arg;
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", to->dir, name);
	return give(path, to);
}

/* Layouts of any version; nothing else there belongs to detnat. */
static int give_layout(const char *name, void *arg)
{
	const struct owner *to = arg;
	char path[PATH_MAX];
	unsigned version;
	int r;

	if (!datapath_is_layout(name, &version))
		return 0;
	snprintf(path, sizeof(path), "%s/%s", to->dir, name);
	datapath_pin_missing(path);
	r = give(path, to);
	return r ? r : directory_visit(path, give_below, &(struct owner){ path, to->uid, to->gid });
}

/* systemd mounts /sys/fs/bpf for root only. The right to pass through it does not disclose its contents. */
static int let_through(const char *path)
{
	char partial[PATH_MAX];
	struct stat st;

	strcpy(partial, path);
	for (char *slash = strrchr(partial, '/'); slash && slash != partial; slash = strrchr(partial, '/')) {
		*slash = '\0';
		if (!bpffs_is(partial))
			break;
		if (stat(partial, &st))
			return -errno;
		if ((st.st_mode & 0011) != 0011 && chmod(partial, (st.st_mode & 07777) | 0011))
			return -errno;
	}
	return 0;
}

static int prepare_pins(const struct config *c, const struct owner *to, struct error *err)
{
	_cleanup_close_ int lock = -1;
	int r = bpffs_prepare(c->pin_path, err);

	/* Not while another agent uses them. */
	if (!r)
		r = bpffs_lock(c->pin_path, &lock, err);
	if (r) {
		bpffs_release(c->pin_path);
		return r;
	}
	r = give(c->pin_path, to);
	if (!r)
		r = directory_visit(c->pin_path, give_layout, &(struct owner){ c->pin_path, to->uid, to->gid });
	if (!r && to->uid)
		r = let_through(c->pin_path);
	return r ? error_set(err, r, "%s: cannot be given to uid %u: %s", c->pin_path, to->uid, strerror(-r)) : 0;
}

/* Of detnat: the mapping history, and leases, queries and their ledger. */
static bool is_own(const char *name)
{
	static const char *const begin[] = { "history.", "queries-", "claims.", "chain." };

	for (size_t i = 0; i < ARRAY_SIZE(begin); i++)
		if (!strncmp(name, begin[i], strlen(begin[i])))
			return true;
	return identity_file_named(name) || !strcmp(name, DESK_DIR);
}

/* 1: the directory contains a file that is not detnat's. */
static int visit_foreign(const char *name, void *arg)
{
	return is_own(name) ? 0 : 1;
}

/* What an agent of another user, or detnatctl, wrote down: the agent goes on with it. */
static int give_record(const char *name, void *below)
{
	bool goes_on = identity_file_named(name) || !strcmp(name, CHAIN_FILE) || !strcmp(name, CHAIN_HEAD_FILE);

	return goes_on ? give_below(name, below) : 0;
}

static int prepare_state(const struct config *c, const struct owner *to, struct error *err)
{
	static const char *const files[] = { HISTORY_FILE, HISTORY_HEAD_FILE };
	const struct owner below = { c->state_dir, to->uid, to->gid };
	struct error why;
	int r = path_make_directory(c->state_dir, 0750, &why);

	if (r)
		return error_set(err, r, "state_dir %s: %s", c->state_dir, *why.text ? why.text : strerror(-r));
	/* A directory with other files stays root's. */
	r = directory_visit(c->state_dir, visit_foreign, NULL) ? 0 : give(c->state_dir, to);
	for (size_t i = 0; !r && i < ARRAY_SIZE(files); i++)
		r = give_below(files[i], (void *)&below);
	if (!r)
		r = directory_visit(c->state_dir, give_record, (void *)&below);
	return r ? error_set(err, r, "state_dir %s: cannot be given to uid %u: %s", c->state_dir, to->uid, strerror(-r))
		 : 0;
}

int prepare_for(const struct config *c, uid_t uid, gid_t gid, struct error *err)
{
	const struct owner to = { NULL, uid, gid };
	struct error why = { 0 };
	int r = prepare_pins(c, &to, err);

	/* The agent decides whether NAT can continue without its history. */
	if (!r && prepare_state(c, &to, &why))
		log_warning("%s", why.text);
	return r;
}

int prepare_for_agent(const struct config *c, struct error *err)
{
	uid_t uid;
	gid_t gid;

	if (account_user(AGENT_USER, &uid, &gid))
		return error_set(err, -ENOENT, "there is no user " AGENT_USER "; `systemd-sysusers` makes it");
	return prepare_for(c, uid, gid, err);
}

void guard_open_carriers(struct guard *g, const char *pin_path)
{
	_cleanup_free_ uint32_t *ifindex = NULL;
	size_t n = 0;

	if (!carriers_find(pin_path, &ifindex, &n))
		guard_open(g, ifindex, n);
}

static int install(const struct startup *up, struct error *err)
{
	struct guard *g;
	int r;

	if (guard_new(NULL, up->file->pin_path, &g))
		return error_set(err, -ENOMEM, "out of memory");
	guard_open_carriers(g, up->file->pin_path);
	r = guard_configure(g, up->running, startup_wanted(up));
	if (r)
		error_set(err, r, "the guard was not put up");
	guard_free(g);
	return r;
}

enum exit_status guard_install(const char *config_path, const char **ret_done, struct error *err)
{
	__attribute__((cleanup(startup_free))) struct startup up = { 0 };
	struct datapath d;
	int r = config_load(config_path, &up.file, &up.file_hash, err);

	if (r)
		return EXIT_BAD_CONFIGURATION;
	/* While the lock is held, no agent starts. */
	r = datapath_open_pinned(up.file->pin_path, &d, NULL);
	if (r == -EBUSY) {
		*ret_done = "an agent runs, which maintains the guard";
		return EXIT_DONE;
	}

	bool pinned = !r;

	startup_read_running(&up);
	*ret_done = startup_wanted(&up)->guard ? "the guard stands" : "\"guard\" is false: there is no guard";
	r = install(&up, err);
	if (pinned)
		datapath_close(&d);
	return r ? EXIT_FAILED : EXIT_DONE;
}
