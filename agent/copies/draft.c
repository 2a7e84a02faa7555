/* SPDX-License-Identifier: BSD-2-Clause */
/* A payload that is being written. */
#include "base/clock.h"
#include "copies/ownership.h"

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

int draft_tell(struct draft *o, struct copying *c, const struct draft_table *t, uint32_t *at, uint64_t deadline_us,
	       copying_emit emit, void *arg)
{
	while (*at < t->room) {
		uint32_t next = *at;
		int r;

		o->type = t->type;
		o->length = 0;
		for (; next < t->room && next - *at < t->at_once; next++)
			t->write(c, o, next);
		r = draft_flush(o, emit, arg);
		o->length = 0;
		if (r)
			return r;
		*at = next;
		if (monotonic_us() >= deadline_us)
			return 1;
	}
	return 0;
}

void wire_session_fill(struct wire_session *ret, const struct copying *c, const struct copied_mapping *cm,
		       uint32_t subscriber, uint32_t slot, uint64_t key, uint64_t word, uint32_t now, bool behalf)
{
	bool inbound = cm->filters && mappings_slot_inbound(c->m, cm->number, subscriber, slot);
	const uint16_t *marks = copy_marks_of(&cm->marks, subscriber);
	uint8_t turn = marks ? slot_turn(cm, subscriber, slot, marks[slot], session_id(key, word)) : 0;

	*ret = (struct wire_session){
		.key = htobe64(key),
		.out_port = htobe16(word_out_port(word)),
		.proto = word_proto(word),
		.state = wire_state(word_state(word), behalf),
		.slot = htobe16((uint16_t)slot),
		.flags = wire_flags(inbound ? WIRE_SESSION_INBOUND : 0, turn, session_age_s(c, word, now)),
	};
}
