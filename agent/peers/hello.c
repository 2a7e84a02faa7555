/* SPDX-License-Identifier: BSD-2-Clause */
#include "peers/hello.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/random.h>

int hello_make(struct endpoint listen, uint32_t interval_ms, struct hello *ret)
{
	struct hello h = { .version = WIRE_VERSION, .listen = listen, .interval_ms = interval_ms };

	errno = 0;
	if (getrandom(h.nonce, sizeof(h.nonce), 0) != (ssize_t)sizeof(h.nonce))
		return errno_or(EIO);
	*ret = h;
	return 0;
}

void hello_write(const struct hello *h, uint8_t out[static HELLO_SIZE])
{
	struct wire_hello w = {
		.version = htobe32(h->version),
		.listen_addr = htobe32(h->listen.addr),
		.listen_port = htobe16(h->listen.port),
		.interval_ms = htobe32(h->interval_ms),
		.tables = htobe64(h->tables),
	};

	memcpy(w.nonce, h->nonce, sizeof(w.nonce));
	memcpy(out, &w, sizeof(w));
}

int hello_read(const uint8_t *data, size_t size, struct hello *ret)
{
	struct wire_hello w = { 0 };
	struct hello h;

	/* One of another version may be shorter. */
	if (size < offsetof(struct wire_hello, tables) || size > HELLO_MAX)
		return -EPROTO;
	memcpy(&w, data, size < sizeof(w) ? size : sizeof(w));
	h = (struct hello){
		.version = be32toh(w.version),
		.listen = { be32toh(w.listen_addr), be16toh(w.listen_port) },
		.interval_ms = be32toh(w.interval_ms),
		.tables = be64toh(w.tables),
	};
	memcpy(h.nonce, w.nonce, sizeof(h.nonce));
	if (h.version == WIRE_VERSION &&
	    (size < sizeof(w) || !h.interval_ms || h.interval_ms > HELLO_LONGEST_INTERVAL_MS))
		return -EPROTO;
	*ret = h;
	return h.version == WIRE_VERSION ? 0 : -EPROTONOSUPPORT;
}
