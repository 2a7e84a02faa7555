/* SPDX-License-Identifier: BSD-2-Clause */
#include "metrics/peers.h"

#include <stddef.h>

#include "metrics/exposition.h"
#include "peers/replication.h"

#define LABEL_SIZE 64U

struct row {
	struct peer_figures f;
	char label[LABEL_SIZE];
};

static void write_counters(const struct row *rows, unsigned n, struct evbuffer *out)
{
	static const struct {
		const char *name;
		const char *help;
		size_t offset;
	} counters[] = {
		{ "detnat_peer_sessions_sent_total", "Records of sessions sent to a peer.",
		  offsetof(struct peer_figures, sent) },
		{ "detnat_peer_sessions_received_total", "Records of sessions received from a peer.",
		  offsetof(struct peer_figures, received) },
		{ "detnat_peer_sessions_refused_total",
		  "Sessions of a peer that were not taken, as port or place is another session's here.",
		  offsetof(struct peer_figures, refused) },
		{ "detnat_peer_whole_copies_total", "Whole copies that were begun for a peer.",
		  offsetof(struct peer_figures, copies) },
		{ "detnat_peer_overruns_total", "Whole copies begun because more waited for a peer than 64 MiB.",
		  offsetof(struct peer_figures, overruns) },
	};

	for (size_t i = 0; i < ARRAY_SIZE(counters); i++) {
		metrics_family(out, counters[i].name, "counter", counters[i].help);
		for (unsigned k = 0; k < n; k++)
			metrics_sample(out, counters[i].name, rows[k].label,
				       *(const uint64_t *)((const char *)&rows[k].f + counters[i].offset));
	}
}

static void write_states(const struct row *rows, unsigned n, struct evbuffer *out)
{
	metrics_family(out, "detnat_peer_state", "gauge", "Whether a peer is in a state; see `detnatctl peer list`.");
	for (unsigned k = 0; k < n; k++) {
		for (unsigned state = 0; state < N_PEER_STATES; state++) {
			char labels[LABEL_SIZE + 32];

			snprintf(labels, sizeof(labels), "%s,state=\"%s\"", rows[k].label, peer_state_name(state));
			metrics_sample(out, "detnat_peer_state", labels, rows[k].f.state == state);
		}
	}
}

void metrics_peers(const struct replication *r, struct evbuffer *out)
{
	struct row rows[REPLICATION_MAX_PEERS];
	unsigned n = r ? replication_peers(r) : 0;

	if (!n)
		return;
	for (unsigned k = 0; k < n; k++) {
		struct endpoint *e = &rows[k].f.peer;
		char addr[ADDR_TEXT];

		replication_peer(r, k, &rows[k].f);
		snprintf(rows[k].label, LABEL_SIZE, "peer=\"%s:%u\"", addr_format(e->addr, addr), e->port);
	}
	metrics_family(out, "detnat_peer_up", "gauge",
		       "Whether sessions are exchanged with a peer: it is synchronised, copying, or differs.");
	for (unsigned k = 0; k < n; k++)
		metrics_sample(out, "detnat_peer_up", rows[k].label,
			       rows[k].f.state == PEER_SYNCHRONISED || rows[k].f.state == PEER_COPYING ||
				       rows[k].f.state == PEER_DIFFERS);
	write_states(rows, n, out);
	metrics_family(out, "detnat_peer_lag_seconds", "gauge",
		       "Age of what a peer may lack of this gateway's sessions.");
	for (unsigned k = 0; k < n; k++)
		if (rows[k].f.has_lag)
			metrics_sample_seconds(out, "detnat_peer_lag_seconds", rows[k].label,
					       (double)rows[k].f.lag_ms / 1e3);
	metrics_family(out, "detnat_peer_differences", "gauge",
		       "Mappings, exceptions and portmaps that are not alike here and at a peer, and should be.");
	for (unsigned k = 0; k < n; k++)
		metrics_sample(out, "detnat_peer_differences", rows[k].label, rows[k].f.differ);
	metrics_family(out, "detnat_peer_copies", "gauge", "Copies of sessions of a peer that stand in the tables.");
	for (unsigned k = 0; k < n; k++)
		metrics_sample(out, "detnat_peer_copies", rows[k].label, rows[k].f.held);
	write_counters(rows, n, out);
	metrics_single(out, "detnat_replication_memory_bytes", "gauge", replication_memory(r),
		       "Memory of marks, queues and buffers of replication.");
}
