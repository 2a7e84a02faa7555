// SPDX-License-Identifier: BSD-2-Clause
/* The result of `plan` as text and as JSON. */
#include "plan_show.h"

#include <inttypes.h>
#include <string.h>

#include "base/timestamp.h"
#include "proto/defaults.h"
#include "proto/timeouts.h"
#include "proto/words.h"

uint64_t plan_row_addresses(const struct plan_result *r, const struct planner_row *row)
{
	return (r->subscribers + row->ratio - 1) / row->ratio;
}

double plan_row_exceed(const struct plan_result *r, const struct planner_row *row)
{
	return r->traffic ? (double)row->exceed / (double)r->demand.subscribers
			  : planner_assumed_exceed(row->reach, r->options->settings.scale);
}

/* 0.025%: two digits that say something. */
static const char *percent(double share, char text[static 16])
{
	double n = share * 100;

	snprintf(text, 16,
		 n >= 10	      ? "%.0f%%"
		 : n >= 1	      ? "%.1f%%"
		 : n >= 0.1 || n == 0 ? "%.2f%%"
		 : n >= 0.001	      ? "%.3f%%"
				      : "<0.001%%",
		 n);
	return text;
}

/* 3.1 M, 12,345 as 12.3 k. */
static const char *amount(uint64_t n, char text[static 16])
{
	if (n < 10000)
		snprintf(text, 16, "%llu", (unsigned long long)n);
	else if (n < 1000000)
		snprintf(text, 16, "%.1f k", (double)n / 1e3);
	else
		snprintf(text, 16, "%.1f M", (double)n / 1e6);
	return text;
}

static const char *memory(uint64_t octets, char text[static 16])
{
	if (octets < 10ULL << 30)
		snprintf(text, 16, "%llu MiB", (unsigned long long)((octets + (1 << 20) - 1) >> 20));
	else
		snprintf(text, 16, "%.1f GiB", (double)octets / (1ULL << 30));
	return text;
}

static void show_head(struct writer *w, const struct plan_result *r)
{
	char sessions[16], from[TIME_TEXT], to[TIME_TEXT];

	if (!r->traffic) {
		writer_line(w, "%llu subscribers; no traffic: this is an assumption, times %g:",
			    (unsigned long long)r->subscribers, r->options->settings.scale);
		writer_line(w, "%s", ASSUMPTION_SOURCES);
		return;
	}
	time_format(r->traffic->from_ms / 1000, from);
	time_format(r->traffic->to_ms / 1000, to);
	if (r->traffic->naive) {
		from[strlen(from) - 1] = '\0';
		to[strlen(to) - 1] = '\0';
	}
	writer_line(w, "%llu subscribers, %llu of them with traffic: %s sessions, %s to %s",
		    (unsigned long long)r->subscribers, (unsigned long long)r->demand.subscribers,
		    amount(r->demand.sessions, sessions), from, to);
}

static const char *mark(const struct plan_result *r, const struct planner_row *row, char text[static 64])
{
	char share[16];

	text[0] = '\0';
	if (r->meets && row->ratio == r->meets)
		snprintf(text, 64, "  <- meets %s", percent(r->options->target, share));
	if (r->fits && row->ratio == r->fits)
		snprintf(text + strlen(text), 64 - strlen(text), "  <- fits --out");
	return text;
}

/* Subscribers that were granted blocks, and the most blocks of an address at once of those that it has. */
static void show_growth(const struct plan_result *r, const struct planner_row *row, char text[static 64])
{
	char grown[24] = "-", blocks[24];

	if (r->traffic)
		snprintf(grown, sizeof(grown), "%llu", (unsigned long long)row->supply.subscribers);
	if (r->traffic)
		snprintf(blocks, sizeof(blocks), "%u of %u", row->supply.peak, row->blocks);
	else
		snprintf(blocks, sizeof(blocks), "%u", row->blocks);
	snprintf(text, 64, " %8s %10s", grown, blocks);
}

static void show_rows(struct writer *w, const struct plan_result *r)
{
	const bool grows = r->options->settings.growth.block;

	writer_line(w, "%6s %6s %8s %8s %20s %9s %9s %10s%s", "RATIO", "PORTS", "EXCEED", "REFUSED",
		    "SUBSCRIBERS REFUSED", "OVERFLOW", "MEMORY", "ADDRESSES", grows ? "    GROWN     BLOCKS" : "");
	for (size_t i = 0; i < r->n; i++) {
		const struct planner_row *row = &r->row[i];
		char exceed[16], refused[16] = "-", many[24] = "-", over[16] = "-", octets[16], text[64];
		char growth[64] = "";

		if (r->traffic) {
			percent(planner_refused(row), refused);
			snprintf(many, sizeof(many), "%llu", (unsigned long long)row->subscribers_refused);
			percent(row->result.sessions ? (double)row->result.beyond / (double)row->result.sessions : 0,
				over);
		}
		if (grows)
			show_growth(r, row, growth);
		writer_line(w, "%6u %6u %8s %8s %20s %9s %9s %10llu%s%s", row->ratio, row->ports,
			    percent(plan_row_exceed(r, row), exceed), refused, many, over,
			    memory(planner_memory(&r->options->settings, row, r->subscribers), octets),
			    (unsigned long long)plan_row_addresses(r, row), growth, mark(r, row, text));
	}
}

static void show_notes(struct writer *w, const struct plan_result *r)
{
	const struct collection *c = r->traffic;
	const struct planner_demand *d = &r->demand;
	uint64_t by_quota = 0, beyond = 0;

	writer_line(
		w,
		"Busiest destination: 99%% of subscribers need %u ports at once, 99.9%% %u; with endpoint-independent "
		"mapping 99%% need %u, 99.9%% %u.",
		planner_demand_of(d, MOST_BUSIEST, 0.99), planner_demand_of(d, MOST_BUSIEST, 0.999),
		planner_demand_of(d, MOST_ENDPOINTS, 0.99), planner_demand_of(d, MOST_ENDPOINTS, 0.999));
	writer_line(w, "Sessions at once: 50%% of subscribers have %u, 90%% %u, 99%% %u, 99.9%% %u, the most %u.",
		    planner_demand_of(d, MOST_SESSIONS, 0.5), planner_demand_of(d, MOST_SESSIONS, 0.9),
		    planner_demand_of(d, MOST_SESSIONS, 0.99), planner_demand_of(d, MOST_SESSIONS, 0.999),
		    planner_demand_of(d, MOST_SESSIONS, 1));
	for (size_t i = 0; i < r->n; i++) {
		by_quota = r->row[i].result.refused_quota > by_quota ? r->row[i].result.refused_quota : by_quota;
		beyond = r->row[i].beyond_peak > beyond ? r->row[i].beyond_peak : beyond;
	}
	if (r->options->settings.growth.block)
		writer_line(
			w,
			"Blocks grow by %u ports, %u times at most; a granted block is taken back after %u s without "
			"sessions, and rests for %u s.",
			r->options->settings.growth.block, r->options->settings.growth.max_blocks,
			DEFAULT_GROWTH_IDLE_S, DEFAULT_GROWTH_REST_S);
	if (by_quota)
		writer_line(w, "The quota of %u sessions (--quota) refuses up to %llu of them, whatever the ratio.",
			    r->options->settings.quota, (unsigned long long)by_quota);
	if (beyond)
		writer_line(w,
			    "Beyond the slots are up to %llu sessions at once: overflow_sessions (65536) must not be "
			    "below.",
			    (unsigned long long)beyond);
	if (c->idle)
		writer_line(w, "Left out: %llu sessions idle for longer than detnat keeps them.",
			    (unsigned long long)c->idle);
	if (c->towards || c->strangers || c->unclear)
		writer_line(w, "Set aside: %" PRIu64 " flows towards subscribers, %" PRIu64 " of no subscriber.",
			    (uint64_t)c->towards, (uint64_t)(c->strangers + c->unclear));
	writer_line(w, "Memory of this calculation: %zu MiB at most for flows%s.", (c->peak_memory >> 20) + 1,
		    c->spill >= 0 ? ", the others in a file" : "");
}

void plan_show_text(struct writer *w, const struct plan_result *r)
{
	char share[16];

	show_head(w, r);
	show_rows(w, r);
	if (r->traffic)
		show_notes(w, r);
	else
		writer_line(
			w, "EXCEED counts sessions. A port serves several destinations, so far fewer are refused; with "
			   "endpoint-independent mapping ports are inside endpoints. --traffic shows both.");
	if (r->traffic && r->options->target >= 0 && !r->meets)
		writer_line(w, "No ratio meets %s.", percent(r->options->target, share));
	if (r->options->n_out && !r->fits)
		writer_line(w, "No ratio fits the addresses of --out.");
}

static void add_share(cJSON *json, const char *key, double share)
{
	cJSON_AddNumberToObject(json, key, share);
}

static void add_row_growth(cJSON *json, const struct plan_result *r, const struct planner_row *row)
{
	cJSON *growth = cJSON_AddObjectToObject(json, "growth");

	cJSON_AddNumberToObject(growth, "blocks", row->blocks);
	cJSON_AddNumberToObject(growth, "ports_reached", row->reach);
	if (!r->traffic)
		return;
	cJSON_AddNumberToObject(growth, "subscribers", (double)row->supply.subscribers);
	cJSON_AddNumberToObject(growth, "grants", (double)row->supply.grants);
	cJSON_AddNumberToObject(growth, "denied", (double)row->supply.denied);
	cJSON_AddNumberToObject(growth, "sessions_refused", (double)row->supply.sessions_refused);
	cJSON_AddNumberToObject(growth, "blocks_peak", row->supply.peak);
}

static cJSON *row_json(const struct plan_result *r, const struct planner_row *row)
{
	cJSON *json = cJSON_CreateObject();

	cJSON_AddNumberToObject(json, "ratio", row->ratio);
	cJSON_AddNumberToObject(json, "ports", row->ports);
	cJSON_AddNumberToObject(json, "session_slots", row->slots);
	add_share(json, "exceed", plan_row_exceed(r, row));
	if (r->traffic) {
		add_share(json, "refused", planner_refused(row));
		cJSON_AddNumberToObject(json, "sessions", (double)row->result.sessions);
		cJSON_AddNumberToObject(json, "refused_ports", (double)row->result.refused_ports);
		cJSON_AddNumberToObject(json, "refused_quota", (double)row->result.refused_quota);
		cJSON_AddNumberToObject(json, "subscribers_refused", (double)row->subscribers_refused);
		cJSON_AddNumberToObject(json, "overflow_sessions", (double)row->result.beyond);
		cJSON_AddNumberToObject(json, "overflow_peak", (double)row->beyond_peak);
	}
	if (r->options->settings.growth.block)
		add_row_growth(json, r, row);
	cJSON_AddNumberToObject(json, "memory_bytes",
				(double)planner_memory(&r->options->settings, row, r->subscribers));
	cJSON_AddNumberToObject(json, "addresses", (double)plan_row_addresses(r, row));
	cJSON_AddBoolToObject(json, "meets_target", r->meets && row->ratio == r->meets);
	cJSON_AddBoolToObject(json, "fits_out", r->fits && row->ratio == r->fits);
	return json;
}

static cJSON *shares_json(const struct planner_demand *d, unsigned most)
{
	static const struct {
		const char *key;
		double share;
	} shares[] = { { "p50", 0.5 }, { "p90", 0.9 }, { "p99", 0.99 }, { "p999", 0.999 }, { "max", 1 } };
	cJSON *json = cJSON_CreateObject();

	for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++)
		cJSON_AddNumberToObject(json, shares[i].key, planner_demand_of(d, most, shares[i].share));
	return json;
}

static cJSON *sources_json(const struct plan_result *r)
{
	cJSON *json = cJSON_CreateArray();

	for (size_t i = 0; i < r->n_sources; i++) {
		const struct traffic_notes *n = &r->source[i].notes;
		cJSON *item = cJSON_CreateObject();

		cJSON_AddStringToObject(item, "file", r->source[i].name);
		cJSON_AddStringToObject(item, "format", n->format);
		cJSON_AddNumberToObject(item, "lines", (double)n->lines);
		cJSON_AddNumberToObject(item, "flows", (double)n->flows);
		cJSON_AddNumberToObject(item, "other", (double)n->other);
		cJSON_AddNumberToObject(item, "not_understood", (double)n->garbage);
		cJSON_AddItemToArray(json, item);
	}
	return json;
}

static void add_traffic(cJSON *json, const struct plan_result *r)
{
	const struct collection *c = r->traffic;
	char text[TIME_TEXT];

	cJSON_AddNumberToObject(json, "subscribers_seen", (double)r->demand.subscribers);
	cJSON_AddNumberToObject(json, "sessions", (double)r->demand.sessions);
	cJSON_AddStringToObject(json, "from", time_format(c->from_ms / 1000, text));
	cJSON_AddStringToObject(json, "to", time_format(c->to_ms / 1000, text));
	cJSON_AddNumberToObject(json, "idle", (double)c->idle);
	cJSON_AddNumberToObject(json, "towards_subscribers", (double)c->towards);
	cJSON_AddNumberToObject(json, "strangers", (double)(c->strangers + c->unclear));
	cJSON_AddNumberToObject(json, "flow_memory_bytes", (double)c->peak_memory);
	cJSON_AddItemToObject(json, "sessions_at_once", shares_json(&r->demand, MOST_SESSIONS));
	cJSON_AddItemToObject(json, "busiest_destination", shares_json(&r->demand, MOST_BUSIEST));
	cJSON_AddItemToObject(json, "inside_endpoints", shares_json(&r->demand, MOST_ENDPOINTS));
	cJSON_AddItemToObject(json, "traffic", sources_json(r));
}

static void add_growth(cJSON *json, const struct growth_layout *g)
{
	cJSON *growth = cJSON_AddObjectToObject(json, "growth");

	cJSON_AddNumberToObject(growth, "block", g->block);
	cJSON_AddNumberToObject(growth, "max_blocks", g->max_blocks);
	cJSON_AddNumberToObject(growth, "idle", DEFAULT_GROWTH_IDLE_S);
	cJSON_AddNumberToObject(growth, "rest", DEFAULT_GROWTH_REST_S);
}

void plan_show_json(struct writer *w, const struct plan_result *r)
{
	cJSON *json = cJSON_CreateObject(), *rows, *timeouts;
	char *text;

	cJSON_AddNumberToObject(json, "subscribers", (double)r->subscribers);
	if (r->traffic)
		cJSON_AddNullToObject(json, "assumption");
	else
		cJSON_AddStringToObject(json, "assumption", ASSUMPTION_SOURCES);
	cJSON_AddNumberToObject(json, "scale", r->options->settings.scale);
	cJSON_AddNumberToObject(json, "reserve", r->options->settings.reserve);
	cJSON_AddNumberToObject(json, "quota", r->options->settings.quota);
	timeouts = cJSON_AddObjectToObject(json, "timeouts");
	for (unsigned i = 0; i < N_TIMEOUTS; i++)
		cJSON_AddNumberToObject(timeouts, timeout_names[i], r->options->settings.timeout_s[i]);
	if (r->options->settings.growth.block)
		add_growth(json, &r->options->settings.growth);
	if (r->options->target >= 0)
		cJSON_AddNumberToObject(json, "target", r->options->target);
	if (r->traffic)
		add_traffic(json, r);
	rows = cJSON_AddArrayToObject(json, "rows");
	for (size_t i = 0; i < r->n; i++)
		cJSON_AddItemToArray(rows, row_json(r, &r->row[i]));
	text = cJSON_PrintUnformatted(json);
	if (text)
		writer_json(w, text, strlen(text));
	cJSON_free(text);
	cJSON_Delete(json);
}
