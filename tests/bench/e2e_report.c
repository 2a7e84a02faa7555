// SPDX-License-Identifier: BSD-2-Clause
#include "e2e_report.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "e2e_netns.h"

struct row *report_row(struct report *r, const char *name, const char *gateway, const char *direction)
{
	struct row *row = &r->row[r->rows];

	if (r->rows++ == MAX_ROWS)
		e2e_die(0, "too many rows");
	*row = (struct row){ .gateway = gateway, .direction = direction };
	snprintf(row->name, sizeof(row->name), "%s", name);
	return row;
}

struct bulk *report_bulk(struct report *r, const char *gateway, const char *frames, unsigned streams)
{
	struct bulk *bulk = &r->bulk[r->bulks];

	if (r->bulks++ == MAX_BULK)
		e2e_die(0, "too many rows");
	*bulk = (struct bulk){ .gateway = gateway, .frames = frames, .streams = streams };
	return bulk;
}

void report_round(struct row *row, const struct result *result, double seconds)
{
	row->ns[row->rounds++] = result->ns;
	row->sent += result->sent;
	row->arrived += result->arrived;
	row->samples += result->samples;
	row->bad += result->bad;
	row->seconds += seconds;
}

void report_goal(struct report *r, enum goal_kind kind, double wanted, double measured, const char *format, ...)
{
	struct goal *g = &r->goal[r->goals];
	va_list ap;

	if (r->goals++ == MAX_GOALS)
		e2e_die(0, "too many goals");
	*g = (struct goal){ .wanted = wanted, .measured = measured, .kind = kind };
	va_start(ap, format);
	vsnprintf(g->what, sizeof(g->what), format, ap);
	va_end(ap);
}

void report_note(struct report *r, const char *format, ...)
{
	size_t used = strlen(r->notes);
	va_list ap;

	va_start(ap, format);
	vsnprintf(r->notes + used, sizeof(r->notes) - used, format, ap);
	va_end(ap);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

double median(const double *values, unsigned n)
{
	double sorted[MAX_ROUNDS];

	if (!n)
		return 0;
	memcpy(sorted, values, n * sizeof(*values));
	qsort(sorted, n, sizeof(*sorted), by_value);
	return n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

static bool met(const struct goal *g)
{
	switch (g->kind) {
	case GOAL_AT_LEAST:
		return g->measured >= g->wanted;
	case GOAL_MORE:
		return g->measured > g->wanted;
	default:
		return g->measured <= g->wanted;
	}
}

static void print_ratio(double ratio)
{
	if (ratio > 0)
		printf(" %7.2f x", ratio);
	else
		printf(" %9s", "-");
}

/* Nanoseconds that a row's packets take more than those of the bare redirect, if it was measured beside them. */
static void print_above(const struct row *row)
{
	if (median(row->of_xdp, row->rounds) > 0)
		printf(" %9.1f", median(row->above_xdp, row->rounds));
	else
		printf(" %9s", "-");
}

void report_print_head(void)
{
	printf("%-66s %-15s %-10s %7s %8s %9s %9s %9s %9s %9s %5s %5s\n", "ROW", "GATEWAY", "PATH", "NS", "M/S/CORE",
	       "OF NFT", "NET", "OF ROUTE", "OF XDP", "ABOVE XDP", "LOST", "S");
}

void report_print_rows(const struct report *r, size_t first)
{
	for (size_t i = first; i < r->rows; i++) {
		const struct row *row = &r->row[i];
		double ns = median(row->ns, row->rounds);

		printf("%-66s %-15s %-10s %7.1f %8.3f", row->name, row->gateway, row->direction, ns, 1e3 / ns);
		print_ratio(median(row->of_nft, row->rounds));
		print_ratio(median(row->net_of_nft, row->rounds));
		print_ratio(median(row->of_forward, row->rounds));
		print_ratio(median(row->of_xdp, row->rounds));
		print_above(row);
		printf(" %5lu %5.1f\n", row->sent - row->arrived, row->seconds);
	}
}

void report_print_goals(const struct report *r)
{
	static const char *const signs[] = {
		[GOAL_AT_LEAST] = ">=", [GOAL_MORE] = "> ", [GOAL_AT_MOST] = "<=", [GOAL_NS_AT_MOST] = "<="
	};

	fputs(r->notes, stdout);
	for (size_t i = 0; i < r->goals; i++) {
		const struct goal *g = &r->goal[i];

		printf(g->kind == GOAL_NS_AT_MOST ? "goal %-84s %s %4.0f ns: %4.0f ns, %s\n"
						  : "goal %-84s %s %5.2f x: %5.2f x, %s\n",
		       g->what, signs[g->kind], g->wanted, g->measured, met(g) ? "met" : "MISSED");
	}
}

void report_print_bulk(const struct report *r)
{
	char name[40];

	printf("%-66s %-15s %7s %9s %10s\n", "BULK TCP", "GATEWAY", "GBIT/S", "OF NFT", "CPU S/GBIT");
	for (size_t i = 0; i < r->bulks; i++) {
		const struct bulk *b = &r->bulk[i];

		snprintf(name, sizeof(name), "%s frames, %u stream%s", b->frames, b->streams,
			 b->streams > 1 ? "s" : "");
		printf("%-66s %-15s %7.2f", name, b->gateway, median(b->gbits, b->rounds));
		print_ratio(median(b->of_nft, b->rounds));
		printf(" %10.3f\n", median(b->cpu_s, b->rounds));
	}
}

static cJSON *bulk_json(const struct bulk *b)
{
	cJSON *j = cJSON_CreateObject();

	cJSON_AddStringToObject(j, "gateway", b->gateway);
	cJSON_AddStringToObject(j, "frames", b->frames);
	cJSON_AddNumberToObject(j, "streams", b->streams);
	cJSON_AddNumberToObject(j, "gbits_per_second", median(b->gbits, b->rounds));
	cJSON_AddNumberToObject(j, "of_nft", median(b->of_nft, b->rounds));
	cJSON_AddNumberToObject(j, "cpu_seconds_per_gbit", median(b->cpu_s, b->rounds));
	cJSON_AddItemToObject(j, "rounds_gbits", cJSON_CreateDoubleArray(b->gbits, (int)b->rounds));
	return j;
}

static cJSON *row_json(const struct row *row)
{
	cJSON *j = cJSON_CreateObject();
	double ns = median(row->ns, row->rounds), nft = median(row->of_nft, row->rounds);
	double forward = median(row->of_forward, row->rounds), net = median(row->net_of_nft, row->rounds);
	double xdp = median(row->of_xdp, row->rounds);

	cJSON_AddStringToObject(j, "name", row->name);
	cJSON_AddStringToObject(j, "gateway", row->gateway);
	cJSON_AddStringToObject(j, "path", row->direction);
	cJSON_AddNumberToObject(j, "ns", ns);
	cJSON_AddNumberToObject(j, "per_second_per_core", 1e9 / ns);
	if (nft > 0)
		cJSON_AddNumberToObject(j, "times_nft", nft);
	if (net > 0)
		cJSON_AddNumberToObject(j, "times_nft_net", net);
	if (forward > 0)
		cJSON_AddNumberToObject(j, "times_kernel_forwarding", forward);
	if (xdp > 0)
		cJSON_AddNumberToObject(j, "ns_of_xdp_redirect", xdp);
	if (xdp > 0)
		cJSON_AddNumberToObject(j, "ns_above_xdp_redirect", median(row->above_xdp, row->rounds));
	cJSON_AddItemToObject(j, "rounds_ns", cJSON_CreateDoubleArray(row->ns, (int)row->rounds));
	cJSON_AddNumberToObject(j, "sent", (double)row->sent);
	cJSON_AddNumberToObject(j, "arrived", (double)row->arrived);
	cJSON_AddNumberToObject(j, "sessions", (double)row->sessions);
	cJSON_AddNumberToObject(j, "sessions_in_table", (double)row->entries);
	cJSON_AddNumberToObject(j, "packets_verified", (double)row->samples);
	cJSON_AddNumberToObject(j, "packets_wrong", (double)row->bad);
	cJSON_AddNumberToObject(j, "seconds", row->seconds);
	return j;
}

int report_write(const struct report *r, const char *path, double seconds)
{
	cJSON *j = cJSON_CreateObject(), *rows = cJSON_AddArrayToObject(j, "rows"),
	      *bulk = cJSON_AddArrayToObject(j, "bulk_tcp"), *goals = cJSON_AddArrayToObject(j, "goals");
	_cleanup_free_ char *text = NULL;
	FILE *f = fopen(path, "w");
	int e = 0;

	for (size_t i = 0; i < r->rows; i++)
		cJSON_AddItemToArray(rows, row_json(&r->row[i]));
	for (size_t i = 0; i < r->bulks; i++)
		cJSON_AddItemToArray(bulk, bulk_json(&r->bulk[i]));
	for (size_t i = 0; i < r->goals; i++) {
		cJSON *g = cJSON_CreateObject();

		cJSON_AddStringToObject(g, "what", r->goal[i].what);
		cJSON_AddNumberToObject(g, "wanted", r->goal[i].wanted);
		cJSON_AddBoolToObject(g, "at_most", r->goal[i].kind >= GOAL_AT_MOST);
		cJSON_AddNumberToObject(g, "measured", r->goal[i].measured);
		cJSON_AddBoolToObject(g, "met", met(&r->goal[i]));
		cJSON_AddItemToArray(goals, g);
	}
	cJSON_AddStringToObject(j, "notes", r->notes);
	cJSON_AddNumberToObject(j, "seconds", seconds);
	text = cJSON_Print(j);
	cJSON_Delete(j);
	if (!f)
		return -errno;
	if (!text || fprintf(f, "%s\n", text) < 0)
		e = -EIO;
	return fclose(f) ? -errno : e;
}
