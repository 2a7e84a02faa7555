/* SPDX-License-Identifier: BSD-2-Clause */
/* Figures of the gateway over the last day, kept in memory: a thread asks the agent at intervals. */
#ifndef DETNAT_DESK_SAMPLES_H
#define DETNAT_DESK_SAMPLES_H

#include "ask.h"

/* A day of minutes. */
#define SAMPLES_MAX 1440U

struct sample {
	int64_t time; /* seconds since 1970 UTC */
	bool valid;   /* the agent has answered */
	/* Sessions are those at that time; the others count from the start of the datapath. */
	uint64_t sessions, opened, translated, octets, refused, dropped;
};

/* Reads the JSON of `status` and of `stats` into a sample. False if a figure is missing. */
bool sample_read(const char *status, size_t status_size, const char *stats, size_t stats_size, struct sample *ret);

/* Starts the thread, which asks every interval_s seconds for as long as the process lives. 0 or -errno. */
int samples_start(const struct ask_at *at, unsigned interval_s);

/* Keeps a sample, the oldest makes room for it. Thread-safe. */
void samples_add(struct sample s);

/*
 * JSON:
 * {"interval":60,"samples":[{"time":…,"sessions":…,"opened":…,"translated":…,"octets":…,"refused":…,"dropped":…}]} in
 * order of time; the octets are those of translated IP packets. The figures of a time without an answer are null.
 * Thread-safe. 0 or -ENOMEM.
 */
int samples_write(struct buffer *ret);

#endif
