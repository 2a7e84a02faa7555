/* SPDX-License-Identifier: BSD-2-Clause */
/* For the parsers of each format. */
#ifndef DETNAT_IMPORT_PRIVATE_H
#define DETNAT_IMPORT_PRIVATE_H

#include "base/text.h"
#include "leases/lease_import.h"

/* Longer lines are skipped as a whole. */
#define IMPORT_LINE_MAX 65536U

/* Receives a line without its end; the parser may write in it. 0, or what take returned. */
typedef int (*import_line)(struct lease_import *x, void *state, char *line, size_t size);

/* Gives each line of a file. 0, -errno, or what the function returned. */
int import_lines(struct lease_import *x, FILE *in, import_line line, void *state);

/* Counts a record that is not taken, with the reason. Returns 0. */
int import_skip(struct lease_import *x, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Gives a line of leases. 0, or what take returned. Can be a lease_take; import: a struct lease_import. */
int import_give(void *import, const struct lease_line *l);

/* When something was: between two seconds. `late` TIME_NONE: it is not said. */
struct import_time {
	int64_t early, late;
};

/* Reads a time in the zone of the import. One that came twice is either of the two. As zone_time_read(). */
int import_time_read(const struct lease_import *x, const char *text, struct import_time *ret, struct error *err);

/* Dates an accounting record, and gives its lines. As import_give(). */
int import_accounting(struct lease_import *x, struct accounting *a, struct import_time received);

/* Copies a text that ends with a NUL; see text_keep(). */
void import_text(char *ret, size_t room, const char *text);

/* Cuts blanks from both ends, in place. */
char *import_trim(char *text);

/* "1w2d3h4m5s", "01:02:03", "1d01:02:03", "1.01:02:03": seconds, or -1. */
int64_t import_uptime(const char *text);

/*
 * Decodes the text behind a quote, in place, up to the quote that ends it: behind a backslash are three octal digits
 * (hex: two of RouterOS' sixteen), a letter of C's, or what stands for itself. Returns its octets; *ret_end is behind
 * the quote, or NULL if there is none.
 */
size_t import_unquote(char *text, bool hex, char **ret_end);

/* Keeps a text as it is, and other octets as "01:02:ff", as other servers write them; there is room for a NUL. */
void import_octets(char *ret, size_t room, char *octets, size_t size);

/* The most columns of a table. */
#define IMPORT_COLUMNS 64U

/* The columns of a table by name, from its header. */
struct import_columns {
	char separator; /* 0: a comma */
	bool plain;	/* quotes are text; otherwise RFC 4180 counts */
	char name[IMPORT_COLUMNS][32];
	unsigned n;
	char *cell[IMPORT_COLUMNS]; /* of the current row */
	unsigned cells;
	bool open;  /* the row ends within quotes */
	bool wrong; /* it has quotes where none can be */
};

typedef int (*import_take_row)(struct lease_import *x, const struct import_columns *c);

/* Gives the rows of a file with a header that has two columns; as import_lines(), and -EBADMSG for another header. */
int import_table(struct lease_import *x, FILE *in, struct import_columns *c, const char *need, const char *and,
		 import_take_row take);

/* The cell of the first of the names, separated by '|', that the table has; "": none. */
const char *import_cell(const struct import_columns *c, const char *names);

int import_freeradius_detail(struct lease_import *x, FILE *in);
int import_radacct_csv(struct lease_import *x, FILE *in);
int import_kea(struct lease_import *x, FILE *in);
int import_mikrotik(struct lease_import *x, FILE *in);
int import_dnsmasq(struct lease_import *x, FILE *in);
int import_isc_dhcpd(struct lease_import *x, FILE *in);
int import_accel_ppp(struct lease_import *x, FILE *in);

#endif
