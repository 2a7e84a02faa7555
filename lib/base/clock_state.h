/* SPDX-License-Identifier: BSD-2-Clause */
/* How far the machine's clock may be from the right time, as the kernel knows it from the program that sets it (NTP).
 */
#ifndef DETNAT_CLOCK_STATE_H
#define DETNAT_CLOCK_STATE_H

#include <cjson/cJSON.h>
#include <stdint.h>
#include <stdio.h>

struct clock_state {
	/* From the best to the worst. */
	enum { CLOCK_NOT_READ, CLOCK_SYNCHRONISED, CLOCK_NOT_SYNCHRONISED } is;
	uint32_t error_ms; /* of a synchronised clock: at most this far from the right time */
};

/* The state of CLOCK_REALTIME now; CLOCK_NOT_READ if the kernel does not tell. */
struct clock_state clock_state_read(void);

/* The worse of two states: both held during some time. CLOCK_NOT_READ is of no weight. */
struct clock_state clock_state_worse(struct clock_state a, struct clock_state b);

/* ,"clock":{"synchronised":true,"error_ms":8}, or {"synchronised":false}; nothing if it was not read. */
void clock_state_write(FILE *out, struct clock_state s);

/* That of an object with such a member; CLOCK_NOT_READ if there is none. */
struct clock_state clock_state_of(const cJSON *json);

#endif
