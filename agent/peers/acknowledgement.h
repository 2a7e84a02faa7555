/* SPDX-License-Identifier: BSD-2-Clause */
/* Signs of life and their acknowledgements: the payloads of WIRE_ALIVE and WIRE_ACK, read and written in host order. */
#ifndef DETNAT_ACKNOWLEDGEMENT_H
#define DETNAT_ACKNOWLEDGEMENT_H

#include <stddef.h>

#include "copies/wire.h"

/* A flag of the frame of an acknowledgement: its sender asks for a whole copy. */
#define ACK_COPY_AGAIN 0x01U

void alive_write(const struct wire_alive *a, uint8_t out[static sizeof(struct wire_alive)]);
void ack_write(const struct wire_ack *a, uint8_t out[static sizeof(struct wire_ack)]);

/* 0 or -EPROTO. */
int alive_read(const uint8_t *payload, size_t length, struct wire_alive *ret);
int ack_read(const uint8_t *payload, size_t length, struct wire_ack *ret);

#endif
