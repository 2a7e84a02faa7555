/* SPDX-License-Identifier: BSD-2-Clause */
/* What a start begins with: the file, what an earlier agent left running, and the checks of both. */
#ifndef DETNAT_STARTUP_H
#define DETNAT_STARTUP_H

#include <stdbool.h>

#include "config/config.h"

struct startup {
	struct config *file;
	struct config *running; /* as an earlier agent saved it, or NULL */
	uint64_t file_hash;
	uint64_t running_hash;
	bool file_unusable;   /* file is a copy of running */
	struct error trouble; /* why */
};

/*
 * Reads, and checks against this machine. Logs what the operator should know of it. Touches nothing.
 *
 * starting: small trouble is not to keep a start from translating. An interface that is not there is warned of, as it
 * will be waited for; directories beside the datapath may be in trouble that can pass by itself; and where a datapath
 * is there already and the file cannot be used, what runs goes on, and ret->trouble says why. Else all that is refused.
 * replace: a datapath of another layout that cannot be taken over is to be replaced; else that is -EXDEV.
 */
int startup_read(const char *config_path, bool starting, bool replace, struct startup *ret, struct error *err);
void startup_free(struct startup *s);

/*
 * Reads what an earlier agent left running once more, where it did and its words can still be read: that agent may have
 * gone on until it gave up the lock.
 */
void startup_read_running(struct startup *s);

/* What is to run: the running state where the file is the one that was applied last, so that changes by detnatctl
 * survive. */
const struct config *startup_wanted(const struct startup *s);

#endif
