/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Records of accounting that have become lines, so that one that comes again adds none. A client may repeat a request
 * as it is (RFC 5080 section 2.2.2) or with another Acct-Delay-Time, hence another identifier (RFC 2866 section 5.2); a
 * proxy repeats it minutes later under an identifier of its own. So a record comes again if
 *
 *  - the packet is the same, by whomever and whenever it is sent; or
 *  - session, tenant, address, event, texts and Acct-Session-Time are the same, and the event happened at the same
 * time, give or take SEEN_SLACK_S; or
 *  - all but the time are the same, within SEEN_S: its sender reckons no delay. Sessions are numbered anew after a
 *    restart of their server, and some servers number them by port: after an end or a new beginning of the session, it
 *    is another one.
 */
#ifndef DETNAT_SEEN_RECORDS_H
#define DETNAT_SEEN_RECORDS_H

#include "leases/lease_line.h"

#define SEEN_PLACES  (1U << 19)
#define SEEN_S	     600
#define SEEN_SLACK_S 5

enum seen {
	SEEN_NOT,
	SEEN_WAITING, /* its line is not on the disk yet */
	SEEN_WRITTEN,
};

/* Zero-initialised; up to 16 MiB from the first record on. The oldest give way if there is no place. */
struct seen_records {
	struct seen_place *place;
	uint32_t group; /* of lines that go to the disk together */
};

/* A line of a request, or the request itself: its line is NULL. */
struct seen_record {
	const struct lease_line *line;
	uint64_t packet; /* of its authenticator */
};

/* now_s: of a clock that is never set. Without memory nothing has been seen. */
enum seen seen_ask(const struct seen_records *s, const struct seen_record *r);
void seen_note(struct seen_records *s, const struct seen_record *r, uint64_t now_s);

/* The lines of all records noted so far are on the disk. */
void seen_written(struct seen_records *s);

/* What names a record in the calls below; and whether a further server will get it. */
uint64_t seen_key(const struct seen_record *r);
void seen_pass_on(struct seen_records *s, uint64_t key);
bool seen_passed_on(const struct seen_records *s, uint64_t key);

/* Notes the last lines of the files of leases of a time's day and of the day before, up to SEEN_RECALL octets. */
#define SEEN_RECALL (64U << 20)
void seen_recall(struct seen_records *s, const char *dir, int64_t now);

void seen_free(struct seen_records *s);

#endif
