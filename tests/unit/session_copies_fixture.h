/* SPDX-License-Identifier: BSD-2-Clause */
/* A gateway, a subscriber of it, and requests to the program `session_copies` to place sessions of that one. */
#ifndef DETNAT_SESSION_COPIES_FIXTURE_H
#define DETNAT_SESSION_COPIES_FIXTURE_H

#include "copying_fixture.h"

#define HOST	 7U
#define KEY	 slot_key(0xc6336407, 443, 5000)
#define ONE_MORE slot_key(0xc6336409, 443, 4032)

extern struct gateway gateway;

/* At the end of each test: Criterion does not count what fails after it. */
void sound(void);

struct subscriber *host(void);

/* An enum copy_result each. On a port, in a slot; of UDP, on its first choices; beyond the slots. */
int place(uint64_t key, uint16_t out_port, uint8_t proto, uint8_t state, uint32_t slot);
int place_udp(uint64_t key);
int place_beyond(uint64_t key, uint16_t out_port);

/* The session beyond the slots is so many ticks older. */
void age(uint64_t key, uint32_t ticks);

/* The slot that the last request was answered with. */
uint32_t answered(void);

/* A slot of the second bucket that ONE_MORE may be in. */
uint32_t second_slot(uint32_t at);

#endif
