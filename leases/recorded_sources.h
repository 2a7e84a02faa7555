/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which sources of leases have been recorded in a directory, and until when: a file beside the leases, with an object
 * of JSON. A source that is added later knows nothing of before, and its line `begin` says so.
 */
#ifndef DETNAT_RECORDED_SOURCES_H
#define DETNAT_RECORDED_SOURCES_H

#include "config/config.h"
#include "lease_writer.h"

struct cJSON;

/* Zero-initialised. */
struct recorded_sources {
	struct cJSON *until; /* time by source; null: it is being recorded */
	bool unsaved;
};

/*
 * Adds the lines `begin` of sources that were not recorded under the former rules, NULL: none were, as the program
 * has just started. Notes the end of those that are no longer. 0 or -ENOMEM.
 */
int recorded_sources_change(struct recorded_sources *x, const struct config_leases *former,
			    const struct config_leases *next, struct lease_writer *w, int64_t now);

/* Writes the file if it is due; call it when the lines are on the disk. 0 or -errno: it is tried again. */
int recorded_sources_save(struct recorded_sources *x, const char *dir);

void recorded_sources_free(struct recorded_sources *x);

/* The name of a source in lines: "radius 192.0.2.1:1813". */
#define SOURCE_NAME (CONFIG_LEASE_PATH + 32)
const char *lease_source_name(const struct config_lease_source *s, char ret[static SOURCE_NAME]);

#endif
