/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames of the stream between two gateways: 16 octets of header, the payload, and an HMAC-SHA-256 over both.
 *
 * 	length of the payload u32 | type u8 | flags u8 | 0 u16 | sequence u64
 *
 * All is big-endian. Sequence numbers begin with 0 on each connection and in each direction, without gaps: a frame that
 * is repeated, lost or moved ends the connection, as does one with a wrong HMAC. The keys of the two directions derive
 * from the group's key and both hellos, each with a nonce, so a frame of another connection, or of the other direction,
 * has a wrong HMAC, too.
 */
#ifndef DETNAT_FRAME_H
#define DETNAT_FRAME_H

#include <nettle/hmac.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "base/base.h"
#include "copies/wire.h"
#include "peers/key_file.h"

#define FRAME_HEADER	  16U
#define FRAME_MAC	  32U
#define FRAME_MAX_PAYLOAD WIRE_PAYLOAD_MAX
#define FRAME_HAS_MAC	  0x80U /* among the flags on the wire */

/* One direction of a connection. */
struct frame_channel {
	bool keyed; /* false: no HMAC */
	struct hmac_sha256_ctx mac;
	uint64_t sequence; /* of the next frame */
};

struct frame {
	uint8_t type;
	uint8_t flags;
	uint64_t sequence;
	const uint8_t *payload;
	size_t length;
};

/* The sender on a channel. */
enum frame_direction { FRAME_FROM_DIALLER = 1, FRAME_FROM_ACCEPTOR = 2 };

/* For the dialler's hello, before which there is no nonce of the acceptor. key NULL: no HMAC. */
void frame_channel_hello(struct frame_channel *c, const uint8_t *key);

/* For all other frames: the key derives from both payloads, the dialler's first. key NULL: no HMAC. */
void frame_channel_derive(struct frame_channel *c, const uint8_t *key, enum frame_direction direction,
			  const uint8_t *hello_dialler, size_t length_dialler, const uint8_t *hello_acceptor,
			  size_t length_acceptor);

void frame_channel_forget(struct frame_channel *c);

/* Octets of a frame. */
size_t frame_size(const struct frame_channel *c, size_t length);

/* Writes the next frame to out, which has room for frame_size(). length: at most FRAME_MAX_PAYLOAD. */
void frame_write(struct frame_channel *c, uint8_t type, uint8_t flags, const void *payload, size_t length,
		 uint8_t *out);

/*
 * The size of the frame that begins with these octets: 0 if they are too few, -EPROTO if they are no frame, -ENOKEY if
 * only one end has a key. Refuses a frame that is too long before its payload has come.
 */
ssize_t frame_peek(const struct frame_channel *c, const uint8_t *data, size_t size);

/*
 * Checks the frame in these octets, as many as frame_peek() returned; the payload stays in place. 0, -EBADMSG for a
 * wrong HMAC, -EILSEQ for a wrong sequence number, else as frame_peek(), -EPROTO if octets are missing.
 */
int frame_read(struct frame_channel *c, const uint8_t *data, size_t size, struct frame *ret);

/* WIRE_HELLO, the payload that each end of a connection sends first. */

#define HELLO_SIZE		  sizeof(struct wire_hello)
#define HELLO_MAX		  256U
#define HELLO_LONGEST_INTERVAL_MS 60000U

struct hello {
	uint32_t version;
	uint8_t nonce[16];
	struct endpoint listen; /* the sender's address for its peers */
	uint32_t interval_ms;	/* between two passes of the sender */
	uint64_t tables;	/* see tables_identity() */
};

/* A hello of this version with a fresh nonce. 0 or -errno. */
int hello_make(struct endpoint listen, uint32_t interval_ms, struct hello *ret);

void hello_write(const struct hello *h, uint8_t out[static HELLO_SIZE]);

/*
 * 0, or -EPROTO; -EPROTONOSUPPORT for another version, which is then in ret. Of a longer hello of this version, the
 * known part is read.
 */
int hello_read(const uint8_t *data, size_t size, struct hello *ret);

/* Signs of life and their acknowledgements: the payloads of WIRE_ALIVE and WIRE_ACK, read and written in host order. */

/* Flags in the frame of an acknowledgement: its sender requests a whole copy; it cannot store all that it was told. */
#define ACK_COPY_AGAIN 0x01U
#define ACK_LACKS      0x02U

void alive_write(const struct wire_alive *a, uint8_t out[static sizeof(struct wire_alive)]);
void ack_write(const struct wire_ack *a, uint8_t out[static sizeof(struct wire_ack)]);

/* 0 or -EPROTO. */
int alive_read(const uint8_t *payload, size_t length, struct wire_alive *ret);
int ack_read(const uint8_t *payload, size_t length, struct wire_ack *ret);

#endif
