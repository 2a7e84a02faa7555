/* SPDX-License-Identifier: BSD-2-Clause */
/* Figures of leases that the agent records. */
#include <stddef.h>

#include "history/history_record.h"
#include "identity/identity.h"
#include "metrics/exposition.h"
#include "metrics/page.h"

static const struct {
	const char *name;
	const char *help;
	size_t offset;
} counters[] = {
	{ "detnat_leases_lines_total", "Lines of leases written.", offsetof(struct identity_figures, lines) },
	{ "detnat_leases_lost_total", "Times recorded in which events of leases were lost.",
	  offsetof(struct identity_figures, lost) },
	{ "detnat_leases_radius_requests_total",
	  "Genuine requests of RADIUS accounting, without those that came again.",
	  offsetof(struct identity_figures, requests) },
	{ "detnat_leases_radius_answers_total", "Responses of RADIUS accounting, repeated ones included.",
	  offsetof(struct identity_figures, answers) },
	{ "detnat_leases_radius_repeated_total", "Requests of RADIUS accounting that came again.",
	  offsetof(struct identity_figures, repeated) },
	{ "detnat_leases_radius_forged_total",
	  "Requests of RADIUS accounting with a wrong authenticator: forged, or of another secret.",
	  offsetof(struct identity_figures, forged) },
	{ "detnat_leases_radius_malformed_total", "Packets that are no requests of RADIUS accounting.",
	  offsetof(struct identity_figures, malformed) },
	{ "detnat_leases_radius_no_address_total",
	  "Requests of RADIUS accounting without an address or an event of a lease: answered, without a line.",
	  offsetof(struct identity_figures, idle) },
	{ "detnat_leases_radius_refused_total", "Requests of RADIUS accounting that could not be taken.",
	  offsetof(struct identity_figures, refused) },
	{ "detnat_leases_radius_looped_total",
	  "Requests of RADIUS accounting that had been forwarded from here or by too many servers: answered, without a "
	  "line.",
	  offsetof(struct identity_figures, looped) },
	{ "detnat_leases_radius_strangers_total",
	  "Packets to the RADIUS server from addresses that are no client's, discarded by the kernel.",
	  offsetof(struct identity_figures, strangers) },
	{ "detnat_leases_radius_dropped_total",
	  "Packets of RADIUS accounting that the socket's buffer had no room for.",
	  offsetof(struct identity_figures, dropped) },
	{ "detnat_leases_radius_forwarded_total", "Requests of RADIUS accounting that a further server has answered.",
	  offsetof(struct identity_figures, forwarded) },
	{ "detnat_leases_radius_forward_lost_total",
	  "Requests of RADIUS accounting that were not answered, as too many waited to be forwarded.",
	  offsetof(struct identity_figures, forward_lost) },
	{ "detnat_leases_file_reads_total", "Readings of files of leases that had changed.",
	  offsetof(struct identity_figures, reads) },
	{ "detnat_leases_file_unread_total", "Records of files of leases that could not be read.",
	  offsetof(struct identity_figures, unread) },
};

void metrics_leases(struct identity *x, struct evbuffer *out)
{
	struct identity_figures f;

	if (!x || !identity_figures(x, &f))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(counters); i++)
		metrics_single(out, counters[i].name, "counter",
			       *(const uint64_t *)((const char *)&f + counters[i].offset), counters[i].help);
	metrics_single(out, "detnat_leases_sources", "gauge", f.sources, "Sources of leases.");
	metrics_single(out, "detnat_leases_lines_waiting", "gauge", f.waiting,
		       "Lines of leases that are not on the disk yet.");
	metrics_single(out, "detnat_leases_radius_forward_waiting", "gauge", f.forward_waiting,
		       "Requests of RADIUS accounting that wait for an answer of a further server.");
	metrics_single(out, "detnat_leases_last_timestamp_seconds", "gauge", f.last < 0 ? 0 : (uint64_t)f.last,
		       "When lines of leases were last written, seconds since 1970; 0: not yet.");
}
