/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The servers behind the records of a source: under which names they are known, and what their clocks are worth.
 *
 * A record came at `received` by the clock of who received it, which is right by definition: no event is later. Less
 * Acct-Delay-Time, which is a duration and needs no clock, that is when it was sent first, as the receiver's clock read
 * then: a step of it in between is undone. By Event-Timestamp, the
 * server's clock says when the event was. The least distance of the two, of the last minute or two, is how far that
 * clock is off: a record that was sent at once has it. It is known where it is at most CLOCK_SLACK_S, or where two
 * minutes in a row have the same, or three after a smaller one. Then a record with a larger distance has waited, or the
 * clock was set back: it is dated to its event, and as late as its arrival. Where the distance
 * is not known, the event was between the two, and nothing is certain between them.
 */
#ifndef DETNAT_ACCOUNTING_SERVERS_H
#define DETNAT_ACCOUNTING_SERVERS_H

#include "leases/accounting.h"

#define CLOCK_SLACK_S  5
#define CLOCK_WINDOW_S 60

/* Records that have waited for longer, or that are sent again from a recording, become no lines. */
#define ACCOUNTING_STALE_S DAY_S

/* The receiver's clock showed `at` when it had been set, `by` seconds ahead. */
struct clock_step {
	int64_t at, by;
};

#define ACCOUNTING_STEPS 8U

/* Zero-initialised. The server that was heard of least recently gives way to one for which there is no place. */
#define ACCOUNTING_SERVERS 1024U
struct accounting_servers {
	struct accounting_server *server;
	unsigned n;
	uint64_t turn;
	bool news;				  /* since it was written, which whoever writes it notes */
	struct clock_step step[ACCOUNTING_STEPS]; /* the latest ones, in order of time */
	unsigned n_steps;
};

/* Names the server of a record and dates it. Without memory each record stands for itself. */
void accounting_date(struct accounting_servers *s, struct accounting *a, int64_t received);

/* The receiver's clock was set: what is known of the servers' is void, and what waited since before is of the clock as
 * it was. */
void accounting_servers_clock_set(struct accounting_servers *s, struct clock_step step);

/* Writes names and clocks of all servers as an array of JSON, and takes them from one. */
struct cJSON;
void accounting_servers_write(const struct accounting_servers *s, FILE *out);
void accounting_servers_read(struct accounting_servers *s, const struct cJSON *json);

void accounting_servers_free(struct accounting_servers *s);

#endif
