/* SPDX-License-Identifier: BSD-2-Clause */
/* The readers of the formats, one a file. All but that of captures get a line at a time. */
#ifndef DETNAT_TRAFFIC_READER_H
#define DETNAT_TRAFFIC_READER_H

#include <detnat/session.h>

#include "base/hash.h"
#include "traffic/traffic.h"

#define TRAFFIC_LINE 32768U /* a longer line is not understood, unless the reader takes it in pieces */

enum line_is {
	LINE_TAKEN,
	LINE_SILENT,  /* a header, a summary, a part of a record */
	LINE_OTHER,   /* another protocol, IPv6 */
	LINE_GARBAGE, /* not understood */
	LINE_SAMPLED, /* sampled flows, which are refused */
	LINE_FAILED,  /* reading.error is set */
};

/* Columns of a CSV by their names. */
enum csv_column {
	CSV_FIRST,
	CSV_LAST,
	CSV_DURATION,
	CSV_SRC,
	CSV_DST,
	CSV_SPORT,
	CSV_DPORT,
	CSV_PROTO,
	CSV_FLAGS,
	CSV_SAMPLING,
	CSV_EVENT,
	CSV_OUT_ADDR,
	CSV_OUT_PORT,
	N_CSV
};

struct reading {
	const struct reader *reader;
	traffic_take take;
	void *arg;
	struct traffic_notes *notes;
	int64_t taken_ms;
	int error; /* -errno */
	/* Of a CSV: the place of each column, from 1; 0: there is none. */
	unsigned csv[N_CSV];
	/* Of records that take several lines. */
	char record[TRAFFIC_LINE];
	size_t record_size;
	bool in_record;
	uint64_t record_line; /* at which it begins */
	/* Sessions that a NAT event has begun, and the time of the last event. */
	struct hash_table events;
	int64_t last_event_ms;
};

struct reader {
	const char *name;
	/* Whether a line of the beginning is of this format. */
	bool (*fits)(const char *line);
	bool in_pieces; /* a line may be longer than TRAFFIC_LINE, and is read a piece at a time */
	/* Reads a line, without its end, or a piece of one; it may be changed. */
	enum line_is (*line)(struct reading *r, char *line);
	/* At the end of the file; NULL: nothing is left. LINE_GARBAGE is for it to count. */
	enum line_is (*end)(struct reading *r);
};

extern const struct reader reader_conntrack, reader_routeros, reader_nfdump_csv, reader_nat_events, reader_sessions,
	reader_neutral;

/* Counts a line, or a record that begins there, that is not understood, and names it if it is one of the first. */
void reading_garbage(struct traffic_notes *n, uint64_t number, const char *line, size_t size);

/* Passes a flow on. */
enum line_is reading_take(struct reading *r, struct traffic_flow *flow);

/* Sets state and last_ms of an entry of a connection table that has left_ms left, and notes the longest time. */
void reading_timer(struct reading *r, struct traffic_flow *flow, enum traffic_timer timer, int64_t left_ms);

/* The timer of a TCP state as connection tables name it, in any case, with - or _; TIMER_NONE: unknown. */
enum traffic_timer timer_of_tcp(const char *name, size_t size);

/*
 * Reads a capture, whose first octets are in `begin`. 0, or -EINVAL or another -errno with err.
 */
int capture_read(int fd, const void *begin, size_t size, struct reading *r, const char *name, struct error *err);
bool capture_begins(const void *begin, size_t size);

/* A NAT event: begins, or ends, the session of a flow at its first_ms. */
enum line_is event_begins(struct reading *r, const struct traffic_flow *flow);
enum line_is event_ends(struct reading *r, const struct traffic_flow *flow);
enum line_is events_finish(struct reading *r);

#endif
