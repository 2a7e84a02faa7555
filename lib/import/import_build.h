/* SPDX-License-Identifier: BSD-2-Clause */
/* For the readers of formats: rows, notes and ranges are added to an import. */
#ifndef DETNAT_IMPORT_BUILD_H
#define DETNAT_IMPORT_BUILD_H

#include "import/import.h"

/* Adds what one subscriber has. Without memory, or beyond IMPORT_MAX_ROWS, the import is marked as failed. */
void import_add(struct import *m, uint32_t in, uint32_t out, uint32_t lo, uint32_t hi, uint32_t protos, uint32_t line);

/* Makes room for so many rows at once: to grow costs a copy. */
void import_reserve(struct import *m, uint64_t more);

void import_note(struct import *m, enum import_note_kind kind, uint32_t line, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* Takes back all notes but the first n. */
void import_notes_cut(struct import *m, size_t n);

/* Stores "NAME:LINE: …" (without a line if that is 0) and returns -EINVAL. */
int import_fault(const struct import *m, uint32_t line, struct error *err, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* Releases the parts, so that there are none. */
void import_parts_free(struct import *m);

/* The first row, in the order of inside addresses, at or above an address; the end of the rows if there is none. */
const struct import_row *import_first(const struct import *m, uint32_t in);

/* Marks the import as failed. */
void import_fail(struct import *m, const char *text);

void import_ranges_add(struct import *m, struct import_ranges *list, struct import_range r);
void import_ranges_free(struct import_ranges *list);

/* The number of addresses in a list, and the one with a number below that. */
uint64_t import_ranges_size(const struct import_ranges *list);
uint32_t import_ranges_at(const struct import_ranges *list, uint64_t i);

/* Adds a name that is not in the list; what no interface can be called is left out, and so is `lo`, which has no side.
 */
void import_names_add(struct import *m, struct import_names *list, const char *name);

/* The place of a name in a list, or the list's length. */
size_t import_names_find(const struct import_names *list, const char *name);

/* "10.0.0.2", "10.0.0.0/18" (masked) and "10.0.0.2-10.0.0.9". 0 or -EINVAL. */
int import_range_parse(const char *text, struct import_range *ret);

/* Decimal digits, at most `max`. 0 or -EINVAL. */
int import_number(const char *text, uint32_t max, uint32_t *ret);

/* "1024-2031", "5117~7439" or one port; 0..65535, the last not below the first. 0 or -EINVAL. */
int import_ports_parse(const char *text, uint32_t *ret_lo, uint32_t *ret_hi);

static inline bool import_range_has(struct import_range r, uint32_t addr)
{
	return addr >= r.first && addr <= r.last;
}

/* The addresses of a plan by address: R an outside address, in the order of the ranges, blocks from F at distance S. */
struct import_formula {
	const struct import_ranges *in;
	const struct import_ranges *out;
	uint32_t ratio;
	uint32_t first_port;
	uint32_t ports;
	uint32_t pitch;
	uint32_t protos;
	uint32_t line;
};

/* Adds its rows. The caller has seen to it that the outside addresses suffice, and no block ends above 65535. */
void import_by_address(struct import *m, const struct import_formula *f);

#endif
