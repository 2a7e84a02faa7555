/* SPDX-License-Identifier: BSD-2-Clause */
/* The result of `detnatctl plan`, and its forms. */
#ifndef DETNATCTL_PLAN_SHOW_H
#define DETNATCTL_PLAN_SHOW_H

#include "plan_options.h"
#include "writer.h"

struct plan_source {
	const char *name; /* of the file */
	struct traffic_notes notes;
};

struct plan_result {
	const struct plan_options *options;
	uint64_t subscribers; /* planned */
	struct planner_demand demand;
	struct planner_row row[PLANNER_MAX_ROWS];
	size_t n;
	uint32_t meets;		    /* the largest ratio that meets the target; 0: none */
	uint32_t fits;		    /* the least ratio for which the outside addresses suffice; 0: not known, or none */
	struct collection *traffic; /* NULL: the table is from the assumption */
	struct plan_source *source;
	size_t n_sources;
};

uint64_t plan_row_addresses(const struct plan_result *r, const struct planner_row *row);
/* The share of subscribers with more sessions than ports. */
double plan_row_exceed(const struct plan_result *r, const struct planner_row *row);

void plan_show_text(struct writer *w, const struct plan_result *r);
void plan_show_json(struct writer *w, const struct plan_result *r);

/* Draws the shares against the ratio. 0, or -errno with err. */
int plan_draw(const char *path, const struct plan_result *r, struct error *err);

#endif
