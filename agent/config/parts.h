/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The parts of a running agent. service/ makes them in order, ends them in the opposite one, and hands this list to the
 * rooms that use many of them: metrics, change, diagnosis, control. It knows only the name of each part.
 */
#ifndef DETNAT_PARTS_H
#define DETNAT_PARTS_H

#include <stdbool.h>
#include <time.h>

struct active_config;
struct attacks;
struct change_queue;
struct config;
struct datapath;
struct devices;
struct event_base;
struct fragments;
struct grants;
struct growth;
struct guard;
struct history_queue;
struct identity;
struct ipfix;
struct mappings;
struct metrics;
struct pcp;
struct portmaps;
struct replication;
struct suspects;
struct sweep_figures;
struct syslog;
struct trace;
struct usage;

/* A part is NULL until it has been made; in a unit test, so are all parts that the test does not need. */
struct parts {
	struct event_base *base;
	struct active_config *active; /* only change/ replaces it */
	struct datapath *datapath;
	struct mappings *mappings;
	struct portmaps *portmaps;
	struct grants *grants;
	struct history_queue *history;
	struct growth *growth;
	struct guard *guard;
	struct devices *devices;
	struct ipfix *ipfix;
	struct syslog *syslog;
	struct identity *identity;
	struct attacks *attacks;
	struct suspects *suspects;
	struct usage *usage;
	struct pcp *pcp;
	struct replication *replication;
	struct metrics *metrics;
	struct trace *trace;
	struct fragments *fragments; /* NULL while the first configuration is applied */
	struct change_queue *changes;
	struct sweep_figures *sweeps; /* updated at the end of each sweep */
	/* Logs warnings about a machine that does not suit a configuration, after a reload. May be NULL. */
	void (*warn)(const struct config *c);
	const bool *ending;	      /* set once a signal has asked the start to give up */
	struct timespec started;      /* CLOCK_MONOTONIC */
	struct timespec started_wall; /* CLOCK_REALTIME */
};

#endif
