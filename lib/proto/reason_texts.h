/* SPDX-License-Identifier: BSD-2-Clause */
/* Names and meanings of the datapath's counters, as the agent and detnatctl show them. */
#ifndef DETNAT_REASON_TEXTS_H
#define DETNAT_REASON_TEXTS_H

#include <detnat/reasons.h>

struct reason_text {
	const char *name;
	const char *text;
};

/* Indexed by enum reason. */
extern const struct reason_text reason_texts[N_REASONS];

/* The first ones are the exits of packets; the others count answers sent, incidents and octets. */
#define X(name, text) +1
enum { N_EXITS = 0 REASONS(X) };
#undef X

#endif
