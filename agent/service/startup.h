/* SPDX-License-Identifier: BSD-2-Clause */
/* The beginning of a start: reads and checks the file and the state that an earlier agent left running. */
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
 * Reads the file and the running state, checks them against this machine, and logs warnings. Changes nothing.
 *
 * starting: lesser trouble does not keep a start from translating. A missing interface only causes a warning, as it may
 * appear later; directories other than the pins' may have temporary trouble; and if a datapath exists and the file
 * cannot be used, the running configuration stays, and ret->trouble has the reason. Without starting, all of that is
 * refused. replace: replace a datapath of another layout that cannot be taken over; otherwise that is -EXDEV.
 */
int startup_read(const char *config_path, bool starting, bool replace, struct startup *ret, struct error *err);
void startup_free(struct startup *s);

/*
 * Reads again the state that an earlier agent left running, as that agent may have changed it until it released the
 * lock.
 */
void startup_read_running(struct startup *s);

/*
 * The configuration to run: the previous one, with its changes by detnatctl, unless the file has changed since it was
 * applied.
 */
const struct config *startup_wanted(const struct startup *s);

#endif
