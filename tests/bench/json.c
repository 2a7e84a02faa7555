// SPDX-License-Identifier: BSD-2-Clause
/* The results for programs. Nanoseconds, octets, packets a second of one core. */
#include "bench.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include <detnat/version.h>

/* "Intel(R) Xeon(R) …" where the kernel says so; else nothing is added. */
static void add_processor(cJSON *machine)
{
	FILE *f = fopen("/proc/cpuinfo", "re");
	bool found = false;
	char line[256];

	if (!f)
		return;
	while (!found && fgets(line, sizeof(line), f)) {
		const char *value = strstr(line, ": ");

		found = value && !strncmp(line, "model name", 10);
		if (found) {
			line[strcspn(line, "\n")] = '\0';
			cJSON_AddStringToObject(machine, "processor", value + 2);
		}
	}
	fclose(f);
}

static void add_machine(cJSON *document, const struct bench *b, const struct options *o)
{
	cJSON *machine = cJSON_AddObjectToObject(document, "machine");
	struct utsname name;
	double load[1] = { 0 };

	if (!uname(&name)) {
		cJSON_AddStringToObject(machine, "kernel", name.release);
		cJSON_AddStringToObject(machine, "architecture", name.machine);
	}
	add_processor(machine);
	if (getloadavg(load, 1) == 1)
		cJSON_AddNumberToObject(machine, "load", load[0]);
	cJSON_AddNumberToObject(machine, "hz", b->d.hz);
	cJSON_AddNumberToObject(machine, "cores", b->core[1].cpu >= 0 ? 2 : 1);
	cJSON_AddNumberToObject(document, "rounds", o->rounds);
	cJSON_AddNumberToObject(document, "packets", o->packets);
}

/* By the generator with constant tail calls. */
static void add_direct(cJSON *p, const struct result *r, enum path path)
{
	struct figures f;

	if (!figures_of_direct(r, path, &f))
		return;

	cJSON *direct = cJSON_AddObjectToObject(p, "direct");

	cJSON_AddNumberToObject(direct, "samples", r->direct[path].n);
	cJSON_AddNumberToObject(direct, "ns", f.ns);
	cJSON_AddNumberToObject(direct, "generator_ns", f.generator);
	cJSON_AddNumberToObject(direct, "floor_ns", f.floor);
	cJSON_AddNumberToObject(direct, "net_ns", f.net);
	cJSON_AddNumberToObject(direct, "pps", 1e9 / f.ns);
	cJSON_AddNumberToObject(direct, "ratio", f.ratio);
}

static void add_path(cJSON *paths, const struct result *r, enum path path)
{
	double vpp = vpp_of(r->row, path);
	struct figures f;

	if (!figures_of(r, path, &f))
		return;

	cJSON *p = cJSON_AddObjectToObject(paths, path_json(path));

	cJSON_AddNumberToObject(p, "samples", r->path[path].n);
	cJSON_AddNumberToObject(p, "ns", f.ns);
	cJSON_AddNumberToObject(p, "generator_ns", f.generator);
	cJSON_AddNumberToObject(p, "floor_ns", f.floor);
	if (f.speedup > 0) {
		cJSON_AddNumberToObject(p, "pps", 2e9 / f.ns);
		cJSON_AddNumberToObject(p, "speedup", f.speedup);
		return;
	}
	cJSON_AddNumberToObject(p, "net_ns", f.net);
	cJSON_AddNumberToObject(p, "pps", 1e9 / f.ns);
	cJSON_AddNumberToObject(p, "ratio", f.ratio);
	add_direct(p, r, path);
	if (path == PATH_CONNECTION || path == PATH_REOPENED)
		cJSON_AddNumberToObject(p, "connections_per_second", 1e9 / (6 * f.ns));
	if (vpp > 0) {
		cJSON_AddNumberToObject(p, "vpp_ns", vpp);
		cJSON_AddNumberToObject(p, "of_vpp", f.net / vpp);
	}
}

static void add_row(cJSON *rows, const struct result *r)
{
	cJSON *row = cJSON_CreateObject(), *paths;

	cJSON_AddItemToArray(rows, row);
	cJSON_AddStringToObject(row, "name", r->csit);
	cJSON_AddStringToObject(row, "row", r->row->name);
	cJSON_AddNumberToObject(row, "hosts", r->row->hosts);
	cJSON_AddNumberToObject(row, "sessions_per_host", r->row->sessions);
	cJSON_AddNumberToObject(row, "ports_per_host",
				r->row->ratio ? MAPPING_PORTS / r->row->ratio : MAPPING_PORTS >> r->row->ratio_shift);
	cJSON_AddNumberToObject(row, "session_slots", r->row->slots);
	cJSON_AddNumberToObject(row, "mappings", r->row->mappings);
	if (r->row->destinations) {
		cJSON_AddNumberToObject(row, "destinations", r->row->destinations);
		cJSON_AddNumberToObject(row, "routes", r->row->routes + 1);
	}
	if (r->skipped[0]) {
		cJSON_AddStringToObject(row, "skipped", r->skipped);
		return;
	}
	cJSON_AddBoolToObject(row, "valid", !r->wrong);
	cJSON_AddNumberToObject(row, "sessions", (double)r->sessions);
	cJSON_AddNumberToObject(row, "sessions_in_table", (double)r->in_table);
	cJSON_AddNumberToObject(row, "sessions_overflowed", (double)r->beyond);
	cJSON_AddNumberToObject(row, "sessions_refused", (double)r->refused);
	cJSON_AddNumberToObject(row, "packets_verified", r->verified);
	cJSON_AddNumberToObject(row, "memory_bytes", (double)r->memory);
	cJSON_AddNumberToObject(row, "memory_bytes_mapping", (double)r->memory_mapping);
	cJSON_AddNumberToObject(row, "memory_bytes_per_subscriber", (double)r->memory / r->row->hosts);
	cJSON_AddNumberToObject(row, "random_read_ns", r->read_ns);
	if (r->route.n)
		cJSON_AddNumberToObject(row, "route_read_ns", route_read_of(r));
	paths = cJSON_AddObjectToObject(row, "paths");
	for (unsigned path = 0; path < N_PATHS; path++)
		add_path(paths, r, (enum path)path);
}

/* The turns that a ratio is of: those of the row that it is compared with first. */
static void add_pairs(cJSON *feature, const struct result *r, enum path path)
{
	const struct series *series[] = { &r->beside[path], &r->path[path] };
	cJSON *turns = cJSON_AddArrayToObject(feature, "turns");

	for (unsigned i = 0; i < series[0]->n && i < series[1]->n; i++) {
		for (size_t k = 0; k < ARRAY_SIZE(series); k++) {
			const struct sample *s = &series[k]->sample[i];
			const double figures[] = { s->ns, s->generator, s->floor };

			cJSON_AddItemToArray(turns, cJSON_CreateDoubleArray(figures, ARRAY_SIZE(figures)));
		}
	}
}

static void add_features(cJSON *document, const struct result *results, unsigned n)
{
	cJSON *features = cJSON_AddArrayToObject(document, "features"), *feature;
	struct ratio ratio;

	for (unsigned i = 0; i < n; i++) {
		for (unsigned path = 0; path < N_PATHS; path++) {
			if (!compared(&results[i], (enum path)path, &ratio))
				continue;
			feature = cJSON_CreateObject();
			cJSON_AddItemToArray(features, feature);
			cJSON_AddStringToObject(feature, "row", results[i].row->name);
			cJSON_AddStringToObject(feature, "path", path_json((enum path)path));
			cJSON_AddStringToObject(feature, "with", results[i].row->beside);
			cJSON_AddNumberToObject(feature, "ratio", ratio.value);
			cJSON_AddNumberToObject(feature, "spread", ratio.spread);
			cJSON_AddNumberToObject(feature, "pairs", ratio.pairs);
			cJSON_AddNumberToObject(feature, "attempts", results[i].attempts);
			add_pairs(feature, &results[i], (enum path)path);
		}
	}
}

static void add_goals(cJSON *document, const struct result *results, unsigned n)
{
	cJSON *goals = cJSON_AddArrayToObject(document, "goals");
	struct verdict v;

	for (unsigned i = 0; goal_judge(i, results, n, &v); i++) {
		cJSON *goal = cJSON_CreateObject();

		cJSON_AddItemToArray(goals, goal);
		cJSON_AddStringToObject(goal, "what", v.text);
		cJSON_AddNumberToObject(goal, v.at_least ? "at_least" : "at_most", v.limit);
		if (!v.asked)
			continue;
		cJSON_AddBoolToObject(goal, "met", v.word == VERDICT_MET);
		cJSON_AddStringToObject(goal, "verdict", verdict_word_text(v.word));
		if (v.word == VERDICT_UNMEASURED)
			continue;
		cJSON_AddNumberToObject(goal, "value", v.value);
		if (v.spread > 0)
			cJSON_AddNumberToObject(goal, "spread", v.spread);
	}
}

int report_json(const struct bench *b, const struct options *o, const struct result *results, unsigned n,
		const char *path)
{
	cJSON *document = cJSON_CreateObject(), *rows;
	_cleanup_free_ char *text = NULL;
	FILE *f;
	int r;

	cJSON_AddStringToObject(document, "version", DETNAT_VERSION);
	add_machine(document, b, o);
	rows = cJSON_AddArrayToObject(document, "rows");
	for (unsigned i = 0; i < n; i++)
		add_row(rows, &results[i]);
	add_features(document, results, n);
	add_goals(document, results, n);
	text = cJSON_Print(document);
	cJSON_Delete(document);
	if (!text)
		return -ENOMEM;
	f = fopen(path, "we");
	if (!f)
		return -errno;
	r = fprintf(f, "%s\n", text) < 0 ? -EIO : 0;
	return fclose(f) ? -errno : r;
}
