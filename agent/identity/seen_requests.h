/* SPDX-License-Identifier: BSD-2-Clause */
/* Requests that wait, and those answered in the last seconds: one that comes again is answered again and counted once
 * (RFC 5080 section 2.2.2). */
#ifndef DETNAT_SEEN_REQUESTS_H
#define DETNAT_SEEN_REQUESTS_H

#include <stdbool.h>
#include <stdint.h>

#define SEEN_PLACES 131072U
#define SEEN_US	    30000000ULL

enum seen {
	SEEN_NOT,
	SEEN_WAITING,  /* its line is not on the disk yet */
	SEEN_ANSWERED, /* it was, though the answer may have been lost */
};

/* Zero-initialised; 3 MiB from the first request on. The oldest give way if there is no place. */
struct seen_requests {
	struct seen_place *place;
};

/*
 * key: of the whole request, see hash_words(): source, identifier, authenticator. now_us: of a monotonic clock. Without
 * memory nothing has been seen.
 */
enum seen seen_ask(const struct seen_requests *s, uint64_t key, uint64_t now_us);
void seen_note(struct seen_requests *s, uint64_t key, uint64_t now_us, bool answered);
void seen_free(struct seen_requests *s);

#endif
