/* SPDX-License-Identifier: BSD-2-Clause */
/* Private to the explain_*.c files: findings. */
#ifndef DETNAT_EXPLAIN_PRIVATE_H
#define DETNAT_EXPLAIN_PRIVATE_H

#include "diagnosis/explain.h"

/*
 * Adds a finding. drops: it causes packets to be dropped. reason: the counter of such packets, or a word if none of our
 * counters counts them.
 */
void explain_add(cJSON *list, bool drops, const char *reason, const char *advice, const char *format, ...)
	__attribute__((format(printf, 5, 6)));

/* Roles without an interface that is up, and interfaces with a problem. */
void explain_add_interfaces(const struct explanation *e, cJSON *list);

/* The guard is off, or not in place, or has dropped packets lately. */
void explain_add_guard(const struct explanation *e, cJSON *list);

/* The kernel's ways to the subscriber and to the external address, where packets on them would be dropped or missed. */
void explain_add_ways(const struct explanation *e, cJSON *list);

/* Packets of a usual length are too long for the way to an IPv6 subscriber. */
void explain_add_lengths(const struct explanation *e, cJSON *list);

/* The requested port is in the block of a subscriber that has another mapping. */
void explain_add_kept(const struct explanation *e, cJSON *list);

/* Draining sessions of an inside address. */
void explain_add_draining(const struct explanation *e, uint32_t in_addr, cJSON *list);

/* The address is not translated. */
void explain_add_untranslated(const struct explanation *e, cJSON *list);

/*
 * Portmaps and bindings of the subscriber, and of the requested port. Returns whether packets to that port are let in
 * without a session.
 */
bool explain_add_reachable(const struct explanation *e, cJSON *list);

/* Granted blocks of the subscriber; and whether it gets another one when it needs it. */
void explain_add_growth(const struct explanation *e, cJSON *list);

/* Ports that the subscriber has by its granted blocks. */
uint32_t explain_granted_ports(const struct explanation *e);

/* Why the subscriber gets no further block, with the reason for which sessions are refused; NULL: it gets one. */
const char *explain_no_growth(const struct explanation *e, const char **ret_reason);

/* The inbound of the subscriber's mapping is open. */
void explain_add_open(const struct explanation *e, cJSON *list);

#endif
