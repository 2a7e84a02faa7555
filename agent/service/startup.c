/* SPDX-License-Identifier: BSD-2-Clause */
#include "service/startup.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "attach/own_programs.h"
#include "base/log.h"
#include "base/rights.h"
#include "change/preflight.h"
#include "datapath/datapath.h"
#include "datapath/migration.h"
#include "datapath/namespace.h"
#include "diagnosis/doctor.h"
#include "host/accounts.h"
#include "host/paths.h"
#include "identity/identity.h"
#include "links/devices.h"
#include "metrics/metrics.h"
#include "pcp/pcp.h"
#include "peers/replication.h"
#include "routing/forwarding.h"
#include "service/lease_rights.h"
#include "service/service.h"

void startup_free(struct startup *s)
{
	config_free(s->file);
	config_free(s->running);
}

/*
 * Root goes where the file says. The agent's user can write what the pins say was running, and root would follow its
 * paths.
 */
static bool same_paths(const struct config *a, const struct config *b)
{
	return a->state_dir && !strcmp(a->state_dir, b->state_dir) && !strcmp(a->pin_path, b->pin_path) &&
	       !strcmp(a->control_socket, b->control_socket) && !strcmp(a->attack.exec, b->attack.exec);
}

void startup_read_running(struct startup *s)
{
	_cleanup_free_ char *json = NULL;
	struct error err = { 0 };

	config_free(s->running);
	s->running = NULL;
	if (datapath_peek_running(s->file->pin_path, &json, &s->running_hash))
		return;
	if (config_parse(json, strlen(json), "running configuration", &s->running, &err))
		log_warning("%s; the file is applied instead", err.text);
	if (s->running && s->running_hash == s->file_hash && !geteuid() && !same_paths(s->file, s->running)) {
		log_warning("%s: what ran there has other paths than the file, which is applied instead",
			    s->file->pin_path);
		config_free(take_pointer(s->running));
	}
}

/* Programs of another datapath may yet turn out to be orphans. */
static int check_devices(const struct config *c, struct error *err)
{
	int r;

	for (unsigned attempt = 0;; attempt++) {
		r = devices_check(c, err);
		if (r != -EBUSY || attempt == ORPHAN_ATTEMPTS)
			return r;
		usleep(ORPHAN_INTERVAL_US);
	}
}

static int check(struct startup *s, const char *config_path, bool starting, struct error *err)
{
	struct error path_err = { 0 };
	int r = check_machine(s->file, s->running, starting ? CHECK_START : CHECK_TEST, NULL, config_path, err);

	if (r)
		return r;
	r = check_paths(s->file, config_path, &path_err);
	/* The users of those directories report the error and try again. */
	if (r && (!starting || (!s->running && !error_passes(r))))
		return error_set(err, r, "%s", path_err.text);
	/* Programs of an incomplete datapath cannot be recognised before its pins are removed. */
	return datapath_is_incomplete(s->file->pin_path) ? 0 : check_devices(s->file, err);
}

/*
 * A datapath of another layout is taken over or, with --replace, replaced; else the start fails and the datapath
 * continues.
 */
static int check_layout(const struct config *c, bool replace, struct error *err)
{
	int r = migration_check(c->pin_path, err);

	return r == -EXDEV && !replace ? r : 0;
}

static int read_file(const char *config_path, bool starting, bool replace, struct startup *s, struct error *err)
{
	int r = config_load(config_path, &s->file, &s->file_hash, err);
	bool gone;

	/* Its prefixes have taken virtual addresses in its own order. */
	if (!r && datapath_claim_virtual(s->file->pin_path)) {
		config_free(take_pointer(s->file));
		r = config_load(config_path, &s->file, &s->file_hash, err);
	}
	if (!r)
		r = namespace_check(s->file->pin_path, &gone, err);
	if (!r)
		r = check_layout(s->file, replace, err);
	if (r)
		return r;
	startup_read_running(s);
	config_number_tenants(s->file, s->running);
	return check(s, config_path, starting, err);
}

/* Uses the state that an earlier agent left running in place of the file. -ENOENT: there is none. */
static int fall_back(const char *config_path, struct startup *s)
{
	char pin_path[PATH_MAX];
	struct error err = { 0 };

	if (!s->running) {
		struct config at = { .pin_path = pin_path };
		struct startup found = { .file = &at };

		if (s->file || datapath_find(config_path, pin_path))
			return -ENOENT;
		startup_read_running(&found);
		s->running = found.running;
		s->running_hash = found.running_hash;
	}
	if (!s->running || path_is_anothers(s->running->pin_path))
		return -ENOENT;
	config_free(s->file);
	s->file = config_clone(s->running);
	s->file_hash = s->running_hash;
	s->file_unusable = true;
	return s->file ? check(s, NULL, true, &err) : -ENOMEM;
}

int startup_read(const char *config_path, bool starting, bool replace, struct startup *ret, struct error *err)
{
	struct startup s = { 0 };
	int r = read_file(config_path, starting, replace, &s, err);

	if (r && starting && !fall_back(config_path, &s)) {
		s.trouble = *err;
		r = 0;
	}
	if (r) {
		startup_free(&s);
		return r;
	}
	config_warn(startup_wanted(&s), NULL, config_path);
	doctor_warn(startup_wanted(&s));
	*ret = s;
	return 0;
}

const struct config *startup_wanted(const struct startup *s)
{
	return s->running && s->running_hash == s->file_hash ? s->running : s->file;
}

/* `detnat-agent -t`. */

/* The user of the unit. */
#define SERVICE_USER "detnat"

/* Root, who runs the check, can read files that the services cannot. */
static void check_readable(const struct config *c, const char *config_path)
{
	lease_rights_warn(c);
	if (!account_may_read(SERVICE_USER, config_path))
		log_warning("%s: the service runs as user " SERVICE_USER ", which cannot read it: chgrp " SERVICE_USER
			    " and chmod 640",
			    config_path);
}

/* The same of ports. */
static void check_port(const char *key, uint16_t port, const char *config_path)
{
	if (port_needs_right(port))
		log_warning("%s: %s.listen: the service runs as user " SERVICE_USER
			    ", which has no right to port %u: choose one from 1024 up",
			    config_path, key, port);
}

enum exit_status service_check(const char *config_path, struct error *err)
{
	__attribute__((cleanup(startup_free))) struct startup up = { 0 };

	if (startup_read(config_path, false, false, &up, err) ||
	    metrics_check(startup_wanted(&up), up.running, config_path, err) ||
	    pcp_check(startup_wanted(&up), up.running, config_path, err) ||
	    replication_check(startup_wanted(&up), up.running, config_path, err) ||
	    identity_check(startup_wanted(&up), up.running, config_path, err))
		return EXIT_BAD_CONFIGURATION;
	forwarding_check(startup_wanted(&up));
	check_readable(startup_wanted(&up), config_path);
	if (startup_wanted(&up)->metrics_enabled)
		check_port("metrics", startup_wanted(&up)->metrics_listen.port, config_path);
	if (startup_wanted(&up)->replication.enabled)
		check_port("replication", startup_wanted(&up)->replication.listen.port, config_path);
	return EXIT_DONE;
}
