/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One more kind of fact, which the room of the history is compiled with once more: a reservation, which gives a
 * subscriber some ports of an outside address. All of it is here: its struct, its event, and its row.
 */
#ifndef DETNAT_FURTHER_KIND_H
#define DETNAT_FURTHER_KIND_H

#include <stdint.h>

#include "proto/label.h"

struct history_reservation {
	int64_t from;
	uint32_t in;
	uint32_t out;
	uint16_t port_lo;
	uint16_t ports;
	char tenant[LABEL_TEXT];
};

#define FURTHER_EVENTS(X) X(EVENT_RESERVE, "reserve")
#define FURTHER_FACTS(X)  X(FACT_RESERVATION, history_reservation, reservation_interval, reservation, reservations)
#define FURTHER_ROWS                                                                                \
	[FACT_RESERVATION] = { .name = "reservation",                                               \
			       .size = sizeof(struct history_reservation),                          \
			       .from = AT(reservation, from),                                       \
			       .begins = EVENT_RESERVE,                                             \
			       .ends = EVENT_RESERVE,                                               \
			       .list = "reservations",                                              \
			       .complete = true,                                                    \
			       .strict = true,                                                      \
			       .sorted = true,                                                      \
			       .place = { NUMBER(reservation, out), NUMBER(reservation, port_lo) }, \
			       .same = { NUMBER(reservation, in), NUMBER(reservation, ports) },     \
			       .tenant = AT(reservation, tenant),                                   \
			       .key = { { "in", ADDRESS, AT(reservation, in) },                     \
					{ "out", ADDRESS, AT(reservation, out) },                   \
					{ "port_lo", PORT, AT(reservation, port_lo) },              \
					{ "port_hi", LAST_PORT, AT(reservation, ports) },           \
					{ "from", TIME, AT(reservation, from) },                    \
					{ "tenant", LABEL, AT(reservation, tenant) } } },

#endif
