/* SPDX-License-Identifier: BSD-2-Clause */
/* Lists in records of the history, and how mappings give out ports: to text and back. For history_record.c. */
#ifndef DETNAT_HISTORY_LISTS_H
#define DETNAT_HISTORY_LISTS_H

#include <cjson/cJSON.h>

#include "history/history_record.h"

/*
 * How ports were given out. "blocks": not by the prefixes alone. "grants", of a list: grants are in the lines before
 * it. "tenants": a mapping is a tenant's, so one within it may be no exception. "nat64": subscribers of a mapping are
 * IPv6 prefixes. Older readers, which must misread none of these, refuse the word.
 */
#define ALGORITHM	  "sequential"
#define ALGORITHM_BLOCKS  "blocks"
#define ALGORITHM_GRANTS  "grants"
#define ALGORITHM_TENANTS "tenants"
#define ALGORITHM_NAT64	  "nat64"

/* Writes ,"algorithm":... and the first and last port. */
void history_algorithm_write(FILE *out, const char *algorithm, unsigned port_lo, unsigned port_hi);

/* Whether this program implements the algorithm of a record. */
bool history_algorithm_known(const cJSON *json);

/* The lowest format that has what a list contains. */
uint64_t history_format_needed(const struct history_record *r);

/* Writes the lists of a start or daily record; reads them: 0, -EINVAL or -ENOMEM. */
void history_lists_write(FILE *out, const struct history_record *r);
int history_lists_read(const cJSON *json, struct history_record *r);

/* The same of the grants that a line lists. */
void history_listed_grants_write(FILE *out, const struct history_record *r);
int history_listed_grants_read(const cJSON *json, struct history_record *r);

#endif
