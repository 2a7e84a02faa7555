/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Payloads that wait for a peer, in order, before they become frames. The queue is bounded: payloads that do not fit
 * are lost, and the peer needs another whole copy.
 */
#ifndef DETNAT_PEER_QUEUE_H
#define DETNAT_PEER_QUEUE_H

#include <stddef.h>
#include <stdint.h>

#define PEER_QUEUE_LIMIT (64U << 20)

struct peer_queue;

int peer_queue_new(struct peer_queue **ret);
void peer_queue_free(struct peer_queue *o);

/* 0; -ENOBUFS: full; -ENOMEM. On an error nothing is queued. */
int peer_queue_put(struct peer_queue *o, uint8_t type, const void *payload, size_t length);

/* Drops all waiting payloads. */
void peer_queue_clear(struct peer_queue *o);

/* The first payload, which stays valid until peer_queue_pop(). NULL: none waits. */
const void *peer_queue_first(struct peer_queue *o, uint8_t *ret_type, size_t *ret_length);
void peer_queue_pop(struct peer_queue *o);

/* Waiting octets, and records of sessions in them. */
size_t peer_queue_octets(const struct peer_queue *o);
uint64_t peer_queue_sessions(const struct peer_queue *o);

/* Records of sessions in the well-formed part of a payload. */
uint64_t payload_sessions(uint8_t type, const void *payload, size_t length);

#endif
