// SPDX-License-Identifier: BSD-2-Clause
#include "e2e_agent.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "base/address.h"
#include "base/base.h"
#include "e2e_gateway.h"
#include "e2e_netns.h"

/* The agent is idle if it has run for less than a twentieth of this time. */
#define IDLE_MS	 500
#define SETTLE_S 120

static void path_in(const struct gateway *g, const char *name, char ret[static 64])
{
	snprintf(ret, 64, "%s/%s", g->directory, name);
}

static void write_configuration(const struct gateway *g, const char *path)
{
	FILE *f = fopen(path, "w");
	char in[ADDR_TEXT], out[ADDR_TEXT];
	const struct geometry geo = gateway_geometry(g);

	if (!f)
		e2e_die(errno, "%s", path);
	fprintf(f,
		"{ \"interfaces\": { \"inside\": [\"in0\"], \"outside\": [\"out0\"] },\n"
		"  \"mappings\": [ { \"in\": \"%s\", \"out\": \"%s\" } ],\n"
		"  \"forwarding\": \"%s\", \"xdp_mode\": \"%s\", \"stages\": %s, \"timeouts\": { \"udp\": 3600 },\n"
		"  \"control_socket\": \"%s/agent.sock\", \"pin_path\": \"/sys/fs/bpf/gateway%d\",\n"
		"  \"state_dir\": \"%s/state\" }\n",
		prefix_format(geo.in_base, geo.in_plen, in), prefix_format(geo.out_base, geo.out_plen, out),
		g->kind == GATEWAY_DETNAT_KERNEL ? "kernel" : "redirect",
		g->kind == GATEWAY_DETNAT_TC	  ? "none"
		: g->kind == GATEWAY_DETNAT_SENDS ? "tc"
						  : "native",
		getenv("STAGES") ? getenv("STAGES") : "\"auto\"", g->directory, g->kind, g->directory);
	if (fclose(f))
		e2e_die(errno, "%s", path);
}

static void show_log(const char *path)
{
	_cleanup_free_ char *line = NULL;
	size_t size = 0;
	FILE *f = fopen(path, "r");

	while (f && getline(&line, &size, f) > 0)
		fputs(line, stderr);
	if (f)
		fclose(f);
}

void e2e_agent_start(const struct world *w, struct gateway *g)
{
	char config[64], log[64], binary[300], line[256] = "";
	char *argv[] = { binary, (char *)"-c", config, NULL };
	FILE *f;
	int out;

	snprintf(g->directory, sizeof(g->directory), "/run/gateway%d", g->kind);
	if (mkdir(g->directory, 0700) && errno != EEXIST)
		e2e_die(errno, "%s", g->directory);
	path_in(g, "detnat.json", config);
	path_in(g, "agent.log", log);
	snprintf(binary, sizeof(binary), "%s/detnat-agent", w->build);
	write_configuration(g, config);
	g->agent = netns_spawn(g->lane[0].netns, log, argv, &out);
	f = fdopen(out, "r");
	if (!f || !fgets(line, sizeof(line), f) || !strstr(line, "ready\n")) {
		show_log(log);
		e2e_die(0, "%s did not get ready", binary);
	}
	fclose(f);
}

static uint64_t ran_ns(pid_t pid)
{
	char path[64], text[96] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/schedstat", pid);
	f = fopen(path, "re");
	if (f) {
		if (!fgets(text, sizeof(text), f))
			text[0] = 0;
		fclose(f);
	}
	return strtoull(text, NULL, 10);
}

void e2e_agent_settle(const struct gateway *g)
{
	const struct timespec moment = { .tv_nsec = IDLE_MS * 1000000L };
	uint64_t start = monotonic_us(), before, now = ran_ns(g->agent);

	do {
		before = now;
		nanosleep(&moment, NULL);
		now = ran_ns(g->agent);
		if (monotonic_us() - start > SETTLE_S * 1000000ULL)
			e2e_die(0, "the agent is still busy after %d s", SETTLE_S);
	} while (now - before > IDLE_MS * 1000000ULL / 20);
}

void e2e_agent_stop(struct gateway *g)
{
	char pins[64];

	kill(g->agent, SIGKILL);
	waitpid(g->agent, NULL, 0);
	g->agent = 0;
	/* The pins hold the tables, which the next agent here must not find. */
	snprintf(pins, sizeof(pins), "rm -r /sys/fs/bpf/gateway%d %s", g->kind, g->directory);
	netns_command(g->lane[0].netns, "%s", pins);
}

uint64_t e2e_agent_sessions(const struct world *w, const struct gateway *g)
{
	char command[400], text[4096];
	uint64_t sessions;
	size_t n;
	cJSON *j;
	FILE *f;

	snprintf(command, sizeof(command), "%s/detnatctl -s %s/agent.sock -j status", w->build, g->directory);
	f = popen(command, "r");
	if (!f)
		e2e_die(errno, "%s", command);
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = 0;
	if (pclose(f))
		e2e_die(0, "failed: %s", command);
	j = cJSON_Parse(text);
	if (!cJSON_IsNumber(cJSON_GetObjectItem(j, "sessions")))
		e2e_die(0, "not a status: %s", text);
	sessions = (uint64_t)cJSON_GetObjectItem(j, "sessions")->valuedouble;
	cJSON_Delete(j);
	return sessions;
}
