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
#include "base/rights.h"
#include "host/accounts.h"
#include "host/hand_over.h"
#include "host/paths.h"
#include "leases/lease_files.h"
#include "base/ledger.h"
#include "service/prepare_leases.h"
#include "service/startup.h"

/* What is given to whom, and where the reason goes if it cannot be. */
struct giving {
	struct hand_over to;
	struct error *err;
};

static int give_pin(const char *name, void *arg)
{
	struct giving *g = arg;

	return strcmp(name, DATAPATH_NOTE) ? hand_over_file(&g->to, name, g->err) : 0;
}

/* Layouts of any version; nothing else there belongs to detnat. */
static int give_layout(const char *name, void *arg)
{
	const struct giving *all = arg;
	struct giving pins = *all;
	char path[PATH_MAX];
	_cleanup_close_ int fd = -1;
	unsigned version;
	int r;

	if (!datapath_is_layout(name, &version))
		return 0;
	r = hand_over_enter(&all->to, name, &fd, all->err);
	if (r)
		return r == -ENOENT ? 0 : r;
	snprintf(path, sizeof(path), "%s/%s", all->to.path, name);
	pins.to.path = path;
	pins.to.dir = fd;
	/* What is there, before anything in it is used. */
	r = directory_visit_at(fd, give_pin, &pins);
	if (!r && all->to.uid) {
		datapath_pin_missing(path);
		r = directory_visit_at(fd, give_pin, &pins);
	}
	return r ? r : hand_over_end(&pins.to);
}

/* In a directory of the user's, with no more rights than that user's. */
static int pin_missing(const char *name, void *arg)
{
	const struct giving *g = arg;
	char path[PATH_MAX];
	unsigned version;

	if (!datapath_is_layout(name, &version))
		return 0;
	snprintf(path, sizeof(path), "%s/%s", g->to.path, name);
	datapath_pin_missing(path);
	return 0;
}

/* The kernel's own files in a bpffs have names with a dot. */
static int refuse_foreign(const char *name, void *arg)
{
	const struct giving *g = arg;
	unsigned version;

	if (datapath_is_layout(name, &version) || strchr(name, '.'))
		return 0;
	return error_set(
		g->err, -EPERM,
		"%s holds %s, which is not detnat's, and cannot be given to uid %u; name a pin_path of its own",
		g->to.path, name, g->to.uid);
}

static int give_pins(struct giving *g)
{
	struct stat st;
	int r;

	if (fstat(g->to.dir, &st))
		return -errno;
	if (g->to.uid && st.st_uid == g->to.uid) {
		_cleanup_rights_ struct rights lesser = rights_of(g->to.dir);

		return directory_visit_at(g->to.dir, pin_missing, g);
	}
	r = hand_over_hold(g->to.dir);
	if (!r && g->to.uid)
		r = directory_visit_at(g->to.dir, refuse_foreign, g);
	if (!r)
		r = directory_visit_at(g->to.dir, give_layout, g);
	return r ? r : hand_over_end(&g->to);
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

static int prepare_pins(const struct config *c, struct giving *g)
{
	_cleanup_close_ int lock = -1;
	int r = bpffs_prepare(c->pin_path, g->err);

	/* Not while another agent uses them. */
	if (!r)
		r = bpffs_lock(c->pin_path, &lock, g->err);
	if (r) {
		bpffs_release(c->pin_path);
		return r;
	}
	g->to.path = c->pin_path;
	g->to.dir = lock;
	g->err->text[0] = '\0';
	r = give_pins(g);
	if (!r && g->to.uid)
		r = let_through(c->pin_path);
	if (r && !*g->err->text)
		error_set(g->err, r, "%s: cannot be given to uid %u: %s", c->pin_path, g->to.uid, strerror(-r));
	return r;
}

/* Of detnat: the mapping history, and leases, queries and their ledger. */
static bool is_own(const char *name)
{
	static const char *const begin[] = { "history.", "claims.", "chain." };

	for (size_t i = 0; i < ARRAY_SIZE(begin); i++)
		if (!strncmp(name, begin[i], strlen(begin[i])))
			return true;
	return lease_record_named(name) || !strcmp(name, DESK_DIR) || !strcmp(name, LEASES_DIR);
}

/* 1: the directory contains a file that is not detnat's. */
static int visit_foreign(const char *name, void *arg)
{
	return is_own(name) ? 0 : 1;
}

/* What an agent of another user, or detnatctl, wrote down: the agent goes on with it. */
static int give_record(const char *name, void *arg)
{
	const struct giving *g = arg;
	bool goes_on = lease_record_named(name) || !strcmp(name, LEDGER_FILE) || !strcmp(name, LEDGER_HEAD_FILE) ||
		       !strcmp(name, HISTORY_FILE) || !strcmp(name, HISTORY_HEAD_FILE);

	return goes_on ? hand_over_file(&g->to, name, g->err) : 0;
}

static int give_state(struct giving *g)
{
	bool foreign;
	struct stat st;
	int r = fstat(g->to.dir, &st) ? -errno : 0;

	/* The user's directory: what is in it is that user's affair. */
	if (r || (g->to.uid && st.st_uid == g->to.uid))
		return r;
	foreign = directory_visit_at(g->to.dir, visit_foreign, NULL);
	/* A directory with other files stays root's. */
	if (!foreign || !g->to.uid)
		r = hand_over_hold(g->to.dir);
	if (!r)
		r = directory_visit_at(g->to.dir, give_record, g);
	return r || foreign ? r : hand_over_end(&g->to);
}

static int prepare_state(const struct config *c, struct giving *g)
{
	_cleanup_close_ int dir = -1;
	struct error why = { 0 };
	int r = path_open_directory(c->state_dir, 0750, &dir, &why);

	if (r)
		return error_set(g->err, r, "state_dir %s: %s", c->state_dir, *why.text ? why.text : strerror(-r));
	g->to.path = c->state_dir;
	g->to.dir = dir;
	g->err->text[0] = '\0';
	r = give_state(g);
	if (r && !*g->err->text)
		error_set(g->err, r, "state_dir %s: cannot be given to uid %u: %s", c->state_dir, g->to.uid,
			  strerror(-r));
	return r;
}

int prepare_for(const struct config *c, uid_t uid, gid_t gid, struct error *err)
{
	struct error why = { 0 };
	struct giving pins = { { .uid = uid, .gid = gid }, err }, state = { { .uid = uid, .gid = gid }, &why };
	int r = prepare_pins(c, &pins);

	if (r)
		return r;
	r = prepare_state(c, &state);
	/* Root does not go on where another user may have laid something in its way. */
	if (!uid && (r == -EPERM || r == -EREMOTE))
		return error_set(err, r, "%s", why.text);
	/* The agent decides whether NAT can continue without its history. */
	if (r)
		log_warning("%s", why.text);
	return 0;
}

int prepare_for_agent(const struct config *c, struct error *err)
{
	struct error why = { 0 };
	uid_t uid;
	gid_t gid;
	int r;

	if (account_user(AGENT_USER, &uid, &gid))
		return error_set(err, -ENOENT, "there is no user " AGENT_USER "; `systemd-sysusers` makes it");
	r = prepare_for(c, uid, gid, err);
	/* Without them NAT goes on. */
	if (!r && prepare_leases(c, uid, gid, &why))
		log_warning("%s", why.text);
	return r;
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
