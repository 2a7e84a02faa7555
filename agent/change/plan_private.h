/* SPDX-License-Identifier: BSD-2-Clause */
/* Shared by change/plan.c, which works out what to do, and change/plan_commit.c, which does it. */
#ifndef DETNAT_PLAN_PRIVATE_H
#define DETNAT_PLAN_PRIVATE_H

#include "change/plan.h"

struct plan_addition {
	struct mapping_spec spec;
	struct mapping_job *job; /* until the commit */
	bool ready;
	bool committed;
};

struct plan_deletion {
	struct prefix in;
	struct prefix out;
};

struct plan {
	const struct change_context *context;
	struct config *wanted;
	const char *name; /* of the file; NULL: it comes from elsewhere */
	uint64_t file_hash;
	char *json; /* of wanted */
	struct settings settings;
	bool load;						    /* programs with those settings */
	enum { RECORD_NOT, RECORD_UNDER_WAY, RECORD_ENDED } record; /* in the mapping history */
	int record_r;						    /* how that ended */
	struct error record_err;
	uint64_t record_us; /* when it began */
	bool committed;
	struct plan_addition *add;
	struct plan_deletion *del;
	struct mapping_spec *update;
	size_t n_add;
	size_t n_del;
	size_t n_update;
};

/*
 * Has the mapping history say what is about to happen to the mappings: PLAN_WAITS until that is on the disk. A first
 * start does not wait for ever, and goes on without where the history is in trouble that can pass.
 */
int plan_record(struct plan *p, struct error *err);

#endif
