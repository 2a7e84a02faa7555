/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * leases.jsonl of a directory of evidence: the lines of leases from which an answer follows. What else their days have,
 * and the days between, is withheld (base/withheld.h). Its form is that of base/ledger_lines.h.
 *
 * 1.0.0 wrote all lines about an address so, without what is withheld between; lease_days_open() reads both.
 */
#ifndef DETNAT_LEASE_EVIDENCE_H
#define DETNAT_LEASE_EVIDENCE_H

#include "leases/lease_days.h"

#define LEASE_EVIDENCE_FILE "leases.jsonl"

/*
 * A line, by its day and its place in the day's file. One of somebody who is none of the case is withheld, but for what
 * it says: `customer` and `session` then stand for his names, the same number for the same one.
 */
struct lease_place {
	size_t day;
	uint64_t at;
	uint32_t customer, session; /* 0: it is shown */
};

/* From now on the lines are noted from which answers follow. */
void lease_evidence_begin(struct lease_days *d);

/* Lines that are read, in the order of their places as a rule: the file of a day stays open until one of another. */
struct lease_lines {
	const struct lease_days *d;
	bool open;
	size_t day;
	int fd;
};

/* The line at a place. 0, or -errno: it says nothing, or not any more. */
int lease_evidence_line(struct lease_lines *x, const struct lease_place *p, struct lease_line *ret);
void lease_lines_close(struct lease_lines *x);
#define _cleanup_lease_lines_ __attribute__((cleanup(lease_lines_close)))

/* Notes all lines about an address, and those about none, of the days that have been read. 0, or -errno with err. */
int lease_evidence_note_all(struct lease_days *d, const struct lease_addr *addr, struct error *err);

/*
 * Lists the lines that were noted, each once, with damaged lines and what shows that a day was recorded where another
 * is missing. 0, or -errno with err; the caller frees *ret.
 */
int lease_evidence_lines(struct lease_days *d, struct lease_place **ret, size_t *ret_n, struct error *err);

/*
 * Writes the file with some of these lines, in their order, about seconds from..to. all: with what all days withhold,
 * and not only those around. 0, or -errno with err.
 */
int lease_evidence_write(struct lease_days *d, const struct lease_place *place, size_t n, int64_t from, int64_t to,
			 bool all, FILE *out, struct error *err);

#endif
