/* SPDX-License-Identifier: BSD-2-Clause */
/* The cards below the interfaces of a configuration, and sets of CPUs, for the doctor's checks. */
#ifndef DETNAT_DOCTOR_CARDS_H
#define DETNAT_DOCTOR_CARDS_H

#include "diagnosis/doctor_private.h"

#define MAX_CPUS  1024U
#define MAX_CARDS 64U

struct cpus {
	uint64_t word[MAX_CPUS / 64];
};

/* Parses a list such as "0-3,8". False: it is none; *ret then has no CPU. */
bool cpus_parse(const char *list, struct cpus *ret);
bool cpus_read(const struct doctor *d, struct cpus *ret, const char *format, ...) __attribute__((format(printf, 3, 4)));

void cpus_add(struct cpus *c, const struct cpus *more);
bool cpus_has(const struct cpus *c, unsigned cpu);
unsigned cpus_count(const struct cpus *c);
unsigned cpus_common(const struct cpus *a, const struct cpus *b);
/* The highest number; 0 of an empty set. */
unsigned cpus_highest(const struct cpus *c);

/* The CPUs that are online. */
void cpus_online(const struct doctor *d, struct cpus *ret);

/* A link at the bottom of an interface of the configuration: itself, the carrier of its VLAN, or a port of a bond. */
struct card_link {
	const struct link *link;
	enum xdp_mode mode; /* of the interface above */
};

/* Fills ret with each card once, up to MAX_CARDS; returns their number. */
size_t cards_list(const struct doctor *d, struct card_link ret[static MAX_CARDS]);

void card_settings(const struct doctor *d, const struct link *l, struct card *ret);

/*
 * The interrupts of a card's receive queues, from /proc/interrupts, and the CPUs that they are delivered to. Returns
 * their number; 0: none is known.
 */
unsigned card_interrupts(const struct doctor *d, const struct link *l, const char *driver, struct cpus *ret_cpus);

#endif
