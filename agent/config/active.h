/* SPDX-License-Identifier: BSD-2-Clause */
/* The active configuration and the file that it came from. change/ replaces it; all others only read it. */
#ifndef DETNAT_CONFIG_ACTIVE_H
#define DETNAT_CONFIG_ACTIVE_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "config/config.h"

struct active_config {
	struct config *config; /* NULL until the first one is applied; saved in the pinned map `running` */
	const char *path;      /* of the file */
	uint64_t file_hash;    /* of the file's text when it was last applied; 0: in force is no file's text */
	time_t file_applied;   /* CLOCK_REALTIME */
	bool reload_failed;    /* the last one */
};

#endif
