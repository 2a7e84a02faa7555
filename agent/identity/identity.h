/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The public header of identity/: leases as they happen, from RADIUS accounting and from the files of DHCP servers, to
 * the files of leases (leases/lease_line.h). A thread of its own does all of it, so that neither a flood of packets nor
 * a slow disk makes the event loop wait. What it cannot do is TROUBLE_LEASES.
 */
#ifndef DETNAT_IDENTITY_H
#define DETNAT_IDENTITY_H

#include <event2/event.h>

#include "config/config.h"

struct identity;

/* X(member, name of the metric, its help): counters */
#define IDENTITY_COUNTERS(X)                                                                                       \
	X(lines, "detnat_leases_lines_total", "Lines of leases written.")                                          \
	X(requests, "detnat_leases_radius_requests_total", "Genuine requests of RADIUS accounting, repeated ones " \
							   "not included.")                                        \
	X(answers, "detnat_leases_radius_answers_total", "Responses to them, repeated ones included.")             \
	X(repeated, "detnat_leases_radius_repeated_total", "Requests that came again.")                            \
	X(forged, "detnat_leases_radius_forged_total", "Requests whose authenticator is wrong: forged, or of "     \
						       "another secret.")                                          \
	X(malformed, "detnat_leases_radius_malformed_total", "Packets that are no requests of RADIUS accounting.") \
	X(idle, "detnat_leases_radius_no_address_total", "Requests that name no address, or no event of a lease.") \
	X(refused, "detnat_leases_radius_refused_total", "Requests left unanswered as too many wait for the disk.") \
	X(dropped, "detnat_leases_radius_dropped_total", "Packets that the socket's buffer had no room for.")      \
	X(forwarded, "detnat_leases_radius_forwarded_total", "Requests that a further server has answered.")       \
	X(forward_lost, "detnat_leases_radius_forward_lost_total", "Requests for further servers that were "       \
								   "dropped, as too many wait.")                   \
	X(reads, "detnat_leases_file_reads_total", "Readings of files of DHCP servers that had changed.")          \
	X(unread, "detnat_leases_file_lines_unread_total", "Lines of such files that are not what they should be.") \
	X(lost, "detnat_leases_lost_total", "Times recorded in which events of leases were lost.")

struct identity_figures {
#define X(member, metric, help) uint64_t member;
	IDENTITY_COUNTERS(X)
#undef X
	uint64_t waiting; /* lines that are not on the disk yet */
	uint64_t forward_waiting;
	uint32_t sources;
	int64_t last; /* time of the last line; TIME_NONE: none */
};

int identity_new(struct event_base *base, struct identity **ret); /* -ENOMEM */

/* Writes what is there, and ends the thread. NULL is allowed. */
void identity_free(struct identity *x);

/*
 * Prepares what a configuration needs: sockets and secrets. at_start: what is missing is waited for. 0, or -errno with
 * err; name is the file's in messages, or NULL. Then identity_settle() puts it in force, or identity_abandon() drops
 * it.
 */
int identity_prepare(struct identity *x, const struct config *c, bool at_start, const char *name, struct error *err);
void identity_settle(struct identity *x);
void identity_abandon(struct identity *x);

/* The checks of identity_prepare() alone, for `detnat-agent -t`. running may be NULL. */
int identity_check(const struct config *c, const struct config *running, const char *name, struct error *err);

/* Figures of about now; false: no leases are recorded. */
bool identity_figures(struct identity *x, struct identity_figures *ret);

#endif
