/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Payloads that wait for a peer, in order, before they become frames. The queue is bounded: what does not fit is not
 * told, and the peer needs a whole copy again.
 */
#ifndef DETNAT_PEER_QUEUE_H
#define DETNAT_PEER_QUEUE_H

#include <stddef.h>
#include <stdint.h>

#define PEER_QUEUE_LIMIT (64U << 20)

struct peer_queue;

int peer_queue_new(struct peer_queue **ret);
void peer_queue_free(struct peer_queue *o);

/* 0; -ENOBUFS: it is full; -ENOMEM. Nothing is taken then. */
int peer_queue_put(struct peer_queue *o, uint8_t type, const void *payload, size_t length);

/* Forgets all that waits. */
void peer_queue_clear(struct peer_queue *o);

/* The first payload, which stays valid until peer_queue_pop(). NULL: none waits. */
const void *peer_queue_first(struct peer_queue *o, uint8_t *ret_type, size_t *ret_length);
void peer_queue_pop(struct peer_queue *o);

/* Octets that wait, and records of sessions in them. */
size_t peer_queue_octets(const struct peer_queue *o);
uint64_t peer_queue_sessions(const struct peer_queue *o);

/* Records of sessions in a payload, as far as it is well formed. */
uint64_t payload_sessions(uint8_t type, const void *payload, size_t length);

#endif
