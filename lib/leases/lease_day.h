/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A file of leases: where each address and each session is in it, and what its lines say of all addresses. This is
 * found by reading the file once, and kept on the disk by lease_index.c. Lines themselves are read from the file when
 * an answer needs them, and only if they still follow from the line before.
 */
#ifndef DETNAT_LEASE_DAY_H
#define DETNAT_LEASE_DAY_H

#include "base/chain.h"
#include "leases/accounting.h"
#include "leases/statements.h"

/*
 * A line about an address, by the address and again `by_session`, if it names one (`session`). Its moment may be an
 * earlier one, too, by up to `vague` seconds, of which the largest number stands for any. It is on the disk as it is
 * here.
 */
#define LEASE_VAGUE_MAX ((1U << 17) - 1)

struct lease_row {
	uint64_t key; /* hash of the address, or of the session */
	uint32_t of;  /* hash of the session or, without one, of the customer; of the address in the row of a session */
	int32_t second; /* lease_line_late(), from the beginning of the day */
	uint64_t at : 39, event : 4, broken : 1, wrong : 1, session : 1, by_session : 1, vague : 17;
};
_Static_assert(sizeof(struct lease_row) == 24, "rows of one size");

/* A line about no address (off, begin, lost, step, erased), or one that says nothing. */
struct lease_remark {
	int64_t at, time, from, to;
	int64_t before; /* of LEASE_BEGIN: the last line before its time in this file; TIME_NONE: there is none */
	uint32_t event;
	uint32_t silent; /* it stands for an erased line, or is damaged */
};

/* Lines were damaged or erased: what lies between their neighbours is in doubt. */
struct lease_doubtful {
	int64_t from, to;
	uint64_t doubt; /* DOUBT_DAMAGED or DOUBT_ERASED */
};

/* What is known of the lines up to an end, and what is needed to read on. */
struct lease_extent {
	struct chain_tip end;
	int64_t first, last;	  /* times of the lines; TIME_OPEN and TIME_NONE: there are none */
	int64_t time;		  /* of the last whole line; TIME_NONE: there is none */
	uint64_t wrong;		  /* lines that cannot be read */
	uint64_t unchained;	  /* octets at the beginning that others wrote, without hashes */
	uint32_t live;		  /* an agent recorded it: it marks that nothing is missing */
	uint32_t disordered;	  /* its lines are not in order of time */
	uint32_t damaged, erased; /* lines since then are */
};

/* Zero-initialised but for name and begin. Arrays that are on the disk are not in memory, and the reverse. */
struct lease_day {
	const char *name;
	int64_t begin; /* its first second */
	bool ready;
	bool indexed; /* the first rows are on the disk */
	struct lease_extent extent;
	struct lease_row *row; /* in order of key and place */
	size_t n, room;
	struct lease_remark *remark;
	size_t n_remarks, remark_room;
	struct lease_doubtful *doubtful;
	size_t n_doubtful, doubtful_room;
	struct lease_block *block; /* of the rows on the disk */
	size_t n_blocks, n_indexed;
	bool fresh;	 /* it was read as a whole */
	bool distrusted; /* its index did not fit after all */
	bool evidence;	 /* its lines are in a file of evidence, others may be withheld */
	int fd;		 /* `evidence`: of its lines */
};

/* Of hashes and sums, which are the same in all indexes. */
static const uint64_t lease_key[2] = { 0x6465746e61746c65ULL, 0x6173657320646179ULL };

/* Forgets what is known of its lines. */
void lease_day_clear(struct lease_day *day);

/* Opens it for the calls below. A descriptor, or -errno. */
int lease_day_open(int dir, const struct lease_day *day);

/* A line as it is in the file, and the hash of the one before. */
struct lease_text {
	char previous[HASH_TEXT];
	const char *line;
	size_t size;
	char room[HASH_TEXT + 2 + LEASE_LINE_MAX + 1];
};

/* Reads the line at a place. 0, -ESTALE: there is none, or -errno. */
int lease_day_text(int fd, uint64_t at, struct lease_text *ret);

/* The same, and what it says. -ESTALE: it does not follow from the one before, as when the file was read. */
int lease_day_line(const struct lease_day *day, int fd, uint64_t at, struct lease_line *ret);

/* Receives rows in order of place. Nonzero ends it. */
typedef int (*lease_take_row)(void *arg, const struct lease_row *row);

/* The key of the rows of an address, and of those of a session. Rows have the lower half of the other one, too. */
uint64_t lease_day_addr_key(const struct lease_addr *addr);
uint64_t lease_day_session_key(const char *session);

/* Gives the rows with a key that are in memory. 0, or what take returned. */
int lease_day_rows(const struct lease_day *day, uint64_t key, lease_take_row take, void *arg);

/* Reads an open file as a whole, but for lease_day_finish(). 0 or -errno. */
int lease_day_read(int fd, struct lease_day *day);

/* Adds the lines of an open file from the day's end on. 0 or -errno. */
int lease_day_read_on(int fd, struct lease_day *day);

/* Ends what is in doubt up to the end of the file. 0 or -ENOMEM. */
int lease_day_finish(struct lease_day *day);

/* Says that the file cannot be read, and returns r. */
int lease_day_failed(const struct lease_day *day, int r, struct error *err);

static inline int64_t lease_row_time(const struct lease_day *day, const struct lease_row *row)
{
	return day->begin + row->second;
}

#endif
