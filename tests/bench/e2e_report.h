/* SPDX-License-Identifier: BSD-2-Clause */
/* What was measured: a table for people, a file for programs. */
#ifndef DETNAT_BENCH_E2E_REPORT_H
#define DETNAT_BENCH_E2E_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "e2e_traffic.h"

#define MAX_ROUNDS 16U
#define MAX_ROWS   128U
#define MAX_BULK   32U
#define MAX_GOALS  64U

/* One path of one gateway, over all rounds. */
struct row {
	char name[80]; /* as CSIT names tests */
	const char *gateway;
	const char *direction;
	unsigned rounds;
	double ns[MAX_ROUNDS];
	double of_nft[MAX_ROUNDS]; /* how many times as fast, in the same round; 0 where there is nothing to compare */
	double of_forward[MAX_ROUNDS];
	double net_of_nft[MAX_ROUNDS]; /* the same less the generator's own time on both sides */
	double of_xdp[MAX_ROUNDS];     /* how many times as long as the bare redirect takes */
	double above_xdp[MAX_ROUNDS];  /* nanoseconds more than that */
	uint64_t sent, arrived, samples, bad;
	uint64_t sessions; /* opened, and in the table afterwards */
	uint64_t entries;
	double seconds; /* that measuring took */
};

/* Of ratios; the last one is of nanoseconds. */
enum goal_kind { GOAL_AT_LEAST, GOAL_MORE, GOAL_AT_MOST, GOAL_NS_AT_MOST };

struct goal {
	char what[96];
	double wanted;
	double measured;
	enum goal_kind kind;
};

/* Bulk TCP by a gateway. */
struct bulk {
	const char *gateway;
	const char *frames; /* mtu, gso */
	unsigned streams;
	unsigned rounds;
	double gbits[MAX_ROUNDS];
	double of_nft[MAX_ROUNDS]; /* of nft's in the same round */
	double cpu_s[MAX_ROUNDS];  /* of all processors, ends included, for a gigabit */
};

struct report {
	struct row row[MAX_ROWS];
	struct goal goal[MAX_GOALS];
	struct bulk bulk[MAX_BULK];
	size_t rows, goals, bulks;
	char notes[2048];
};

struct row *report_row(struct report *r, const char *name, const char *gateway, const char *direction);
struct bulk *report_bulk(struct report *r, const char *gateway, const char *frames, unsigned streams);
void report_round(struct row *row, const struct result *result, double seconds);
void report_goal(struct report *r, enum goal_kind kind, double wanted, double measured, const char *format, ...)
	__attribute__((format(printf, 5, 6)));
void report_note(struct report *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Of the rounds; 0 where there are none. */
double median(const double *values, unsigned n);

/* The head of the table; its rows from a first one on; notes and goals. */
void report_print_head(void);
void report_print_rows(const struct report *r, size_t first);
void report_print_goals(const struct report *r);
void report_print_bulk(const struct report *r);

/* 0 or -errno. */
int report_write(const struct report *r, const char *path, double seconds);

#endif
