/* SPDX-License-Identifier: BSD-2-Clause */
/* A payload that is being written. */
#include "replication/copying_private.h"

int draft_flush(struct draft *o, copying_emit emit, void *arg)
{
	int r;

	if (!o->length)
		return 0;
	r = emit(o->type, o->data, o->length, arg);
	if (!r)
		o->length = 0;
	return r;
}

void wire_session_fill(struct wire_session *ret, const struct mappings *m, const struct copied_mapping *cm,
		       uint32_t subscriber, uint32_t slot, uint64_t key, uint64_t word)
{
	bool inbound = cm->filters && mappings_slot_inbound(m, cm->number, subscriber, slot);

	*ret = (struct wire_session){
		.key = htobe64(key),
		.out_port = htobe16(word_out_port(word)),
		.proto = word_proto(word),
		.state = word_state(word),
		.slot = htobe16((uint16_t)slot),
		.flags = htobe16(inbound ? WIRE_SESSION_INBOUND : 0),
	};
}
