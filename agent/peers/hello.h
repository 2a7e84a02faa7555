/* SPDX-License-Identifier: BSD-2-Clause */
/* WIRE_HELLO, the payload that each end of a connection sends first. */
#ifndef DETNAT_HELLO_H
#define DETNAT_HELLO_H

#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "base/base.h"
#include "copies/wire.h"

#define HELLO_SIZE		  sizeof(struct wire_hello)
#define HELLO_MAX		  256U
#define HELLO_LONGEST_INTERVAL_MS 60000U

struct hello {
	uint32_t version;
	uint8_t nonce[16];
	struct endpoint listen; /* by which the peers know the sender */
	uint32_t interval_ms;	/* between two passes of the sender */
	uint64_t tables;	/* see tables_identity() */
};

/* A hello of this version with a fresh nonce. 0 or -errno. */
int hello_make(struct endpoint listen, uint32_t interval_ms, struct hello *ret);

void hello_write(const struct hello *h, uint8_t out[static HELLO_SIZE]);

/*
 * 0, or -EPROTO; -EPROTONOSUPPORT if it is of another version, which ret then tells. Longer hellos of this version are
 * read as far as they are known.
 */
int hello_read(const uint8_t *data, size_t size, struct hello *ret);

#endif
