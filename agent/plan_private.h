/* SPDX-License-Identifier: BSD-2-Clause */
/* Shared by plan.c, which works out what to do, and plan_commit.c, which does it. */
#ifndef DETNAT_PLAN_PRIVATE_H
#define DETNAT_PLAN_PRIVATE_H

#include "plan.h"

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
	struct agent *agent;
	struct config *wanted;
	const char *name; /* of the file; NULL: it comes from elsewhere */
	uint64_t file_hash;
	char *json; /* of wanted */
	struct settings settings;
	bool load;     /* programs with those settings */
	bool recorded; /* in the mapping history */
	struct plan_addition *add;
	struct plan_deletion *del;
	struct mapping_spec *update;
	size_t n_add;
	size_t n_del;
	size_t n_update;
};

#endif
