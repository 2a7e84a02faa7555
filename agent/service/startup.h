/* SPDX-License-Identifier: BSD-2-Clause */
/* The beginning of a start: reads and checks the file and what an earlier agent left running. */
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
 * Reads the file and what runs, checks them against this machine, and logs warnings. Changes nothing.
 *
 * starting: lesser trouble does not keep a start from translating. A missing interface is only warned of, as it will be
 * waited for; directories other than the pins' may have trouble that can pass; and if a datapath exists and the file
 * cannot be used, what runs goes on, and ret->trouble says why. Without starting, all of that is refused.
 * replace: replace a datapath of another layout that cannot be taken over; otherwise that is -EXDEV.
 */
int startup_read(const char *config_path, bool starting, bool replace, struct startup *ret, struct error *err);
void startup_free(struct startup *s);

/* Reads once more what an earlier agent left running, as that agent may have changed it until it released the lock. */
void startup_read_running(struct startup *s);

/* What is to run: what ran before, with its changes by detnatctl, unless the file has changed since it was applied. */
const struct config *startup_wanted(const struct startup *s);

#endif
