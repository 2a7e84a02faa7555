/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The servers behind the records of a source: under which names they are known, and what their clocks are worth.
 *
 * A record came at `received` by the clock of who received it, which is right by definition: no event is later. Less
 * Acct-Delay-Time, which is a duration and needs no clock, that is when it was sent first. By Event-Timestamp, the
 * server's clock says when the event was. The least distance of the two, of the last minute or two, is how far that
 * clock is off: a record that was sent at once has it. It is known where it is at most CLOCK_SLACK_S, or where two
 * minutes in a row have the same. Then a record with a larger distance has waited, and is dated to its event; where it
 * is not known, the event was between the two, and nothing is certain between them.
 */
#ifndef DETNAT_ACCOUNTING_SERVERS_H
#define DETNAT_ACCOUNTING_SERVERS_H

#include "leases/accounting.h"

#define CLOCK_SLACK_S  5
#define CLOCK_WINDOW_S 60

/* Records that have waited for longer, or that are sent again from a recording, become no lines. */
#define ACCOUNTING_STALE_S DAY_S

/* Zero-initialised. The server that was heard of least recently gives way to one for which there is no place. */
#define ACCOUNTING_SERVERS 1024U
struct accounting_servers {
	struct accounting_server *server;
	unsigned n;
	uint64_t turn;
	bool news; /* since it was written, which whoever writes it notes */
};

/* Names the server of a record and dates it. Without memory each record stands for itself. */
void accounting_date(struct accounting_servers *s, struct accounting *a, int64_t received);

/* The receiver's clock was set: what is known of the servers' is void. */
void accounting_servers_forget_clocks(struct accounting_servers *s);

/* Writes names and clocks of all servers as an array of JSON, and takes them from one. */
struct cJSON;
void accounting_servers_write(const struct accounting_servers *s, FILE *out);
void accounting_servers_read(struct accounting_servers *s, const struct cJSON *json);

void accounting_servers_free(struct accounting_servers *s);

#endif
