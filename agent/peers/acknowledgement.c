/* SPDX-License-Identifier: BSD-2-Clause */
#include "peers/acknowledgement.h"

#include <errno.h>
#include <string.h>

void alive_write(const struct wire_alive *a, uint8_t out[static sizeof(struct wire_alive)])
{
	const struct wire_alive w = { htobe64(a->sent_ms), htobe64(a->pass_ms) };

	memcpy(out, &w, sizeof(w));
}

int alive_read(const uint8_t *payload, size_t length, struct wire_alive *ret)
{
	struct wire_alive w;

	if (length != sizeof(w))
		return -EPROTO;
	memcpy(&w, payload, sizeof(w));
	*ret = (struct wire_alive){ be64toh(w.sent_ms), be64toh(w.pass_ms) };
	return 0;
}

void ack_write(const struct wire_ack *a, uint8_t out[static sizeof(struct wire_ack)])
{
	const struct wire_ack w = {
		.sequence = htobe64(a->sequence),
		.alive_ms = htobe64(a->alive_ms),
		.pass_ms = htobe64(a->pass_ms),
		.sessions = htobe64(a->sessions),
		.refused = htobe64(a->refused),
	};

	memcpy(out, &w, sizeof(w));
}

int ack_read(const uint8_t *payload, size_t length, struct wire_ack *ret)
{
	struct wire_ack w;

	if (length != sizeof(w))
		return -EPROTO;
	memcpy(&w, payload, sizeof(w));
	*ret = (struct wire_ack){
		.sequence = be64toh(w.sequence),
		.alive_ms = be64toh(w.alive_ms),
		.pass_ms = be64toh(w.pass_ms),
		.sessions = be64toh(w.sessions),
		.refused = be64toh(w.refused),
	};
	return 0;
}
