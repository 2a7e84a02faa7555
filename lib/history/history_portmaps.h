/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Portmaps in the mapping history: the inside endpoint of an outside one, and its times. Port by port, as a range may
 * lose some of its ports.
 */
#ifndef DETNAT_HISTORY_PORTMAPS_H
#define DETNAT_HISTORY_PORTMAPS_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/address.h"
#include "history/history_spans.h"
#include "history/history_tenant.h"

/* Consecutive ports of a portmap, as a record has them. */
struct history_portmap {
	struct port_span in;
	struct port_span out;
	uint8_t proto;
	char tenant[LABEL_TEXT]; /* of the subscriber; "": none, or not known */
	int64_t from;
};

/* One port; it led there from <= t < to. */
struct portmap_interval {
	HISTORY_SPAN;
	struct endpoint in;
	struct endpoint out;
	uint8_t proto;
	char tenant[LABEL_TEXT];
	int64_t from;
};

/* Zero-initialised. */
struct history_portmaps {
	struct portmap_interval *interval; /* in the order of the lines that began them */
	size_t n;
	struct history_pauses pauses;
	struct hash_index open; /* numbers of the open ones, by outside endpoint */
};

/* Indexes the open ones among the intervals. 0 or -ENOMEM. */
int history_portmaps_index(struct history_portmaps *p);

void history_portmaps_free(struct history_portmaps *p);

/* Whether both lead to the same endpoint of the same subscriber. */
bool history_portmap_same(const struct portmap_interval *a, const struct portmap_interval *b);

/* The open interval of an outside endpoint, or NULL. */
struct portmap_interval *history_portmap_open(const struct history_portmaps *p, uint8_t proto, struct endpoint out);

/*
 * Applies a record: the ports begin to lead there, or end. A port that led elsewhere ends at the beginning. begin: the
 * moment at which they began. 0 or -ENOMEM.
 */
int history_portmaps_take(struct history_portmaps *p, const struct history_portmap *record, bool ends, uint32_t begin,
			  struct history_at at);

/* Ends all open ones. */
void history_portmaps_end(struct history_portmaps *p, struct history_at at);

/* Undoes the effect of a line; false if the line is not about portmaps. *ret: 0 or -ENOMEM. */
bool history_portmaps_undo(struct history_portmaps *p, struct history_times *t, uint64_t line, struct history_at at,
			   int *ret);

/* The portmap of one port. */
struct history_portmap history_portmap_of_port(const struct portmap_interval *v);

/* Merges consecutive open ports to spans; the caller frees *ret. 0 or -ENOMEM. */
int history_portmaps_list(const struct history_portmaps *p, struct history_portmap **ret, size_t *ret_n);

/*
 * Merges neighbours in a list of single ports to spans, in place; returns their number. Ports that began at different
 * times stay apart.
 */
size_t history_portmaps_merge(struct history_portmap *list, size_t n);

/* Writes "proto":...,"in":...,"out":...,"from":... of a record; reads them: false if malformed. */
void history_portmap_write(FILE *out, const struct history_portmap *m);
bool history_portmap_read(const cJSON *json, struct history_portmap *ret);

#endif
