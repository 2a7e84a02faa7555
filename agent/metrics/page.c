/* SPDX-License-Identifier: BSD-2-Clause */
#include "metrics/page.h"

#include <errno.h>
#include <event2/buffer.h>
#include <stddef.h>
#include <sys/resource.h>

#include <detnat/version.h>

#include "attacks/attacks.h"
#include "base/trouble.h"
#include "guard/guard.h"
#include "links/devices.h"
#include "metrics/exposition.h"
#include "metrics/usage_monitor.h"
#include "pcp/pcp.h"
#include "peers/replication.h"
#include "suspects/suspects.h"
#include "syslog/syslog.h"
#include "tables/grant_table.h"
#include "tables/portmap_table.h"

/* Private to metrics/: figures of the gateways with which sessions are copied. */

struct replication;

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

/* Writes nothing if replication is off, or r is NULL. */
static void metrics_peers(const struct replication *r, struct evbuffer *out)
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

#define SLICE_US 1000U

struct metrics_text {
	const struct parts *from;
	struct event *slice;
	struct evbuffer *lists;	   /* of mappings and interfaces */
	struct evbuffer *gathered; /* the next version of lists, while it is gathered; or NULL */
	struct metrics_cursor cursor;
};

static void on_slice(evutil_socket_t fd, short what, void *arg)
{
	struct metrics_text *t = arg;
	uint64_t until = monotonic_us() + SLICE_US;
	int r;

	if (!t->gathered)
		return;
	do
		r = metrics_lists_step(t->from, &t->cursor, t->gathered);
	while (r && monotonic_us() < until);
	if (r) {
		evtimer_add(t->slice, &(struct timeval){ 0 });
		return;
	}
	evbuffer_free(t->lists);
	t->lists = take_pointer(t->gathered);
}

void metrics_text_gather(struct metrics_text *t)
{
	if (t->gathered)
		evbuffer_free(t->gathered);
	t->gathered = evbuffer_new();
	t->cursor = (struct metrics_cursor){ 0 };
	evtimer_add(t->slice, &(struct timeval){ 0 });
}

int metrics_text_new(struct event_base *base, const struct parts *from, struct metrics_text **ret)
{
	struct metrics_text *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->from = from;
	t->lists = evbuffer_new();
	t->slice = evtimer_new(base, on_slice, t);
	if (!t->lists || !t->slice) {
		metrics_text_free(t);
		return -ENOMEM;
	}
	*ret = t;
	return 0;
}

void metrics_text_free(struct metrics_text *t)
{
	if (!t)
		return;
	if (t->lists)
		evbuffer_free(t->lists);
	if (t->gathered)
		evbuffer_free(t->gathered);
	if (t->slice)
		event_free(t->slice);
	free(t);
}

static double seconds_of_timeval(struct timeval t)
{
	return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

/* Resident memory of the agent in octets; 0: unknown. */
static uint64_t resident_memory(void)
{
	unsigned long total, resident;
	FILE *f = fopen("/proc/self/statm", "re");
	bool read = f && fscanf(f, "%lu %lu", &total, &resident) == 2;

	if (f)
		fclose(f);
	return read ? resident * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

/* The names are those of Prometheus' client libraries. */
static void write_process(const struct parts *from, struct evbuffer *out)
{
	struct rusage usage = { 0 };

	getrusage(RUSAGE_SELF, &usage);
	metrics_single_seconds(out, "process_start_time_seconds", "gauge",
			       (double)from->started_wall.tv_sec + (double)from->started_wall.tv_nsec / 1e9,
			       "Start of the agent, seconds since 1970.");
	metrics_single_seconds(out, "process_cpu_seconds_total", "counter",
			       seconds_of_timeval(usage.ru_utime) + seconds_of_timeval(usage.ru_stime),
			       "Processor time of the agent.");
	metrics_single(out, "process_resident_memory_bytes", "gauge", resident_memory(),
		       "Memory of the agent, shared tables that it has touched included.");
}

static void write_configuration(const struct parts *from, struct evbuffer *out)
{
	metrics_family(out, "detnat_build_info", "gauge", "Always 1; the version is a label.");
	metrics_sample(out, "detnat_build_info", "version=\"" DETNAT_VERSION "\"", 1);
	metrics_single(out, "detnat_config_last_reload_successful", "gauge", !from->active->reload_failed,
		       "Whether the last attempt to read the configuration file was applied.");
	metrics_single(out, "detnat_config_last_reload_success_timestamp_seconds", "gauge",
		       (uint64_t)from->active->file_applied,
		       "When the configuration file was last applied, seconds since 1970.");
	metrics_single(out, "detnat_mappings", "gauge", from->active->config->n_mappings, "Mappings.");
}

static void write_growth(const struct parts *from, struct evbuffer *out)
{
	struct grant_figures f;
	struct counters c;

	if (!from->grants)
		return;
	grants_count(from->grants, &f);
	metrics_single(out, "detnat_grants", "gauge", f.grants, "Granted blocks that subscribers have.");
	metrics_single(out, "detnat_granted_ports", "gauge", f.ports, "Ports of these blocks.");
	metrics_single(out, "detnat_grants_resting", "gauge", f.rests,
		       "Blocks that were granted, and rest before another subscriber may have them.");
	metrics_single(out, "detnat_growth_addresses_full", "gauge", f.addresses_full,
		       "Outside addresses that have no block left to grant.");
	if (!datapath_counters(from->datapath, &c))
		metrics_single(out, "detnat_growth_exhausted_total", "counter", c.drop_growth_exhausted,
			       "Packets refused as their subscriber or address could get no further block.");
}

static void write_portmaps(const struct parts *from, struct evbuffer *out)
{
	if (!from->portmaps)
		return;
	metrics_family(out, "detnat_portmaps", "gauge",
		       "Portmaps, each port and protocol for itself, by origin: of the configuration, or leases.");
#define X(constant, word) \
	metrics_sample(out, "detnat_portmaps", "origin=\"" word "\"", portmaps_count(from->portmaps, constant));
	PORTMAP_ORIGINS(X)
#undef X
}

static void write_pools(const struct parts *from, struct evbuffer *out)
{
	struct usage_figures f = usage_figures(from->usage);
	char labels[64];

	metrics_family(
		out, "detnat_pool_addresses", "gauge",
		"Outside addresses by state, when the figures of usage were gathered; see `detnatctl pool list`.");
	for (unsigned state = 0; state < N_POOL_STATES; state++) {
		snprintf(labels, sizeof(labels), "state=\"%s\"", pool_state_texts[state]);
		metrics_sample(out, "detnat_pool_addresses", labels, f.pool_addresses[state]);
	}
}

/* Nothing if `attack` is not configured. */
static void write_attacks(const struct parts *from, struct evbuffer *out)
{
	struct attack_figures f = from->attacks ? attacks_figures(from->attacks) : (struct attack_figures){ 0 };

	if (!f.enabled)
		return;
	metrics_single(out, "detnat_attacked_addresses", "gauge", f.attacked + f.unfollowed,
		       "Pool addresses that are attacked; `detnatctl pool list` shows them.");
	metrics_single(out, "detnat_attack_packets_per_second", "gauge", f.rate,
		       "Packets of strangers a second to the pool addresses that are attacked.");
	metrics_single(out, "detnat_attacks_total", "counter", f.attacks, "Attacks on pool addresses.");
	metrics_single(out, "detnat_attack_exec_runs_total", "counter", f.runs,
		       "Runs of the program that `attack` names.");
	metrics_single(out, "detnat_attack_exec_failures_total", "counter", f.failed,
		       "Runs of that program that failed: not started, killed, or with a status other than 0.");
}

/* Nothing without thresholds. */
static void write_suspects(const struct parts *from, struct evbuffer *out)
{
	struct suspect_figures f = from->suspects ? suspects_figures(from->suspects) : (struct suspect_figures){ 0 };
	bool any = false;
	char labels[64];

	for (unsigned kind = 0; kind < N_SURVEY_KINDS; kind++)
		any |= f.asked[kind];
	if (!any)
		return;
	metrics_family(
		out, "detnat_suspects", "gauge",
		"Subscribers that reach a threshold of `suspects`, by threshold; `detnatctl top --by` shows them.");
	for (unsigned kind = 0; kind < N_SURVEY_KINDS; kind++) {
		if (!f.asked[kind])
			continue;
		snprintf(labels, sizeof(labels), "kind=\"%s\"", suspect_kind_text(kind));
		metrics_sample(out, "detnat_suspects", labels, f.now[kind]);
	}
	metrics_single(out, "detnat_suspect_reports_total", "counter", f.told,
		       "Lines of the log about such subscribers, at most one an hour for each.");
	metrics_single(out, "detnat_suspects_unreported", "gauge", f.untold,
		       "Of these, subscribers that the log still lacks, as there are too many at once.");
}

static void write_troubles(struct evbuffer *out)
{
	char labels[64];

	metrics_family(
		out, "detnat_trouble", "gauge",
		"Whether there is trouble beside the datapath, by what is in trouble; `detnatctl status` says more.");
	for (unsigned what = 0; what < N_TROUBLES; what++) {
		snprintf(labels, sizeof(labels), "what=\"%s\"", trouble_word(what));
		metrics_sample(out, "detnat_trouble", labels, trouble_get(what) != NULL);
	}
}

static void write_extents(const struct parts *from, struct evbuffer *out)
{
	metrics_single(
		out, "detnat_overflow_sessions", "gauge", usage_figures(from->usage).beyond,
		"Sessions beyond their subscribers' own slots, in extents, in the last pass; draining ones excluded.");
	metrics_single(out, "detnat_overflow_sessions_limit", "gauge", from->active->config->overflow_sessions,
		       "Sessions beyond the slots for which there is room: as configured.");
	metrics_single(out, "detnat_extent_buckets_used", "gauge", datapath_extents_used(from->datapath),
		       "Buckets of extents that are in use, or were and are not free yet.");
	metrics_single(out, "detnat_extent_buckets_limit", "gauge", from->datapath->settings.extent_buckets,
		       "Buckets of extents that subscribers may have together; near it, some are refused sessions.");
}

static void write_routes(const struct parts *from, struct evbuffer *out)
{
	struct route_copy_summary s;
	size_t left;

	route_copy_summary(devices_routes(from->devices), &s);
	left = s.unsure + s.full;
	for (unsigned why = FIB_KEPT_NOT + 1; why < N_FIB_KEPT; why++)
		left += s.kept[why];
	metrics_single(out, "detnat_routes_in_force", "gauge", s.in_force,
		       "Whether the datapath goes by its copy of the routes; else it asks the kernel.");
	metrics_single(out, "detnat_routes", "gauge", s.routes, "Routes in the datapath's copy.");
	metrics_single(out, "detnat_routes_left_to_kernel", "gauge", left,
		       "Routes of which the kernel is asked; `detnatctl status` says why.");
	metrics_single(out, "detnat_route_next_hops", "gauge", s.next_hops, "Next hops of the routes and neighbours.");
	metrics_single(out, "detnat_route_memory_bytes", "gauge", s.memory, "Memory of the copy of the routes.");
}

static void write_stages(const struct parts *from, struct evbuffer *out)
{
	metrics_single(out, "detnat_stages", "gauge", datapath_stages(from->datapath),
		       "Stages in which packets are handled; `detnatctl status` says why.");
}

static void write_ipfix(const struct parts *from, struct evbuffer *out)
{
	struct ipfix_figures f = ipfix_figures(from->ipfix);

	metrics_single(out, "detnat_ipfix_records_sent_total", "counter", f.records_sent, "IPFIX data records sent.");
	metrics_single(out, "detnat_ipfix_messages_sent_total", "counter", f.messages_sent,
		       "IPFIX messages sent, those of templates included.");
	metrics_single(out, "detnat_ipfix_records_lost_total", "counter", f.records_lost,
		       "IPFIX data records that the socket or the collector refused.");
}

/* Nothing if PCP is off. */
static void write_pcp(const struct parts *from, struct evbuffer *out)
{
	static const char *const dropped[] = {
#define X(constant, name, text) [constant] = name,
		PCP_DROPS(X)
#undef X
	};
	struct pcp_figures f;
	char labels[64];

	if (!from->pcp)
		return;
	pcp_figures(from->pcp, &f);
	if (!f.enabled)
		return;
	metrics_single(out, "detnat_pcp_leases", "gauge", f.leases, "Leases that subscribers have by PCP.");
	metrics_single(out, "detnat_pcp_leases_limit", "gauge", f.limit, "Leases that there may be.");
	metrics_single(out, "detnat_pcp_leases_assured", "gauge", f.assured,
		       "Leases that each subscriber gets, however many the others have.");
	metrics_single(out, "detnat_pcp_no_room_total", "counter", f.no_room,
		       "Leases that were refused as there were too many of all subscribers.");
	metrics_family(out, "detnat_pcp_responses_total", "counter", "Answers to PCP requests, by opcode and result.");
	for (unsigned opcode = 0; opcode <= PCP_OPCODE_OTHER; opcode++)
		for (unsigned result = 0; result < N_PCP_RESULTS; result++) {
			snprintf(labels, sizeof(labels), "opcode=\"%s\",result=\"%s\"", pcp_opcode_name(opcode),
				 pcp_result_name(result));
			metrics_sample(out, "detnat_pcp_responses_total", labels, f.answers[opcode][result]);
		}
	metrics_family(out, "detnat_pcp_dropped_total", "counter", "PCP requests without an answer, by reason.");
	for (unsigned why = 0; why < N_PCP_DROPS; why++) {
		snprintf(labels, sizeof(labels), "reason=\"%s\"", dropped[why]);
		metrics_sample(out, "detnat_pcp_dropped_total", labels, f.drops[why]);
	}
}

static void write_syslog(const struct parts *from, struct evbuffer *out)
{
	struct syslog_figures f = from->syslog ? syslog_figures(from->syslog) : (struct syslog_figures){ 0 };

	metrics_single(out, "detnat_syslog_messages_sent_total", "counter", f.sent, "Syslog messages sent.");
	metrics_single(out, "detnat_syslog_messages_lost_total", "counter", f.lost,
		       "Syslog messages that the receiver's socket did not take.");
}

static void write_housekeeping(const struct parts *from, struct evbuffer *out)
{
	struct usage_figures f = usage_figures(from->usage);

	metrics_duration(out, "detnat_sweep_work_seconds", (double)from->sweeps->busy_us / 1e6, from->sweeps->count,
			 "Sweeps of expired sessions, and the agent's time that they took.");
	metrics_single_seconds(out, "detnat_sweep_last_duration_seconds", "gauge", (double)from->sweeps->last_us / 1e6,
			       "From beginning to end of the last sweep.");
	metrics_duration(out, "detnat_usage_work_seconds", (double)f.busy_us / 1e6, f.passes,
			 "Passes through the sessions for the figures of usage, and the agent's time that they took.");
	metrics_single_seconds(
		out, "detnat_usage_timestamp_seconds", "gauge", f.ended,
		"When the figures by mapping and interface were gathered, seconds since 1970; 0: not yet.");
	metrics_single(out, "detnat_table_memory_bytes", "gauge", f.table_memory,
		       "Memory of all tables of the datapath, when the figures of usage were gathered.");
}

/* Those that are written at each scrape. */
static int write_fixed(const struct metrics_text *t, struct evbuffer *out)
{
	const struct parts *from = t->from;
	struct counters c;
	int r;

	guard_count(from->guard, from->datapath);
	r = datapath_counters(from->datapath, &c);
	if (r)
		return r;
	write_configuration(from, out);
	write_troubles(out);
	write_process(from, out);
	metrics_counters(&c, out);
	write_extents(from, out);
	write_routes(from, out);
	write_portmaps(from, out);
	write_growth(from, out);
	write_pools(from, out);
	write_attacks(from, out);
	write_suspects(from, out);
	write_stages(from, out);
	write_ipfix(from, out);
	write_pcp(from, out);
	metrics_peers(from->replication, out);
	write_syslog(from, out);
	metrics_leases(from->identity, out);
	write_housekeeping(from, out);
	return 0;
}

/* Lists have no counters, so both forms of them are the same. */
static int add_lists(const struct metrics_text *t, struct evbuffer *out)
{
	return evbuffer_get_length(t->lists) && evbuffer_add_buffer_reference(out, t->lists) ? -ENOMEM : 0;
}

int metrics_text(const struct metrics_text *t, enum metrics_form form, struct evbuffer *out)
{
	struct evbuffer *fixed;
	int r;

	if (form == METRICS_PROMETHEUS) {
		r = write_fixed(t, out);
		return r ? r : add_lists(t, out);
	}
	fixed = evbuffer_new();
	r = fixed ? write_fixed(t, fixed) : -ENOMEM;
	if (!r) {
		metrics_to_openmetrics(fixed, out);
		r = add_lists(t, out);
	}
	if (!r)
		evbuffer_add_printf(out, "# EOF\n");
	if (fixed)
		evbuffer_free(fixed);
	return r;
}
