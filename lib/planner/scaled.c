// SPDX-License-Identifier: BSD-2-Clause
#include "planner/scaled.h"

#include <stdlib.h>

#include "base/base.h"
#include <detnat/slots.h>

void scaled_free(struct scaled *s)
{
	free(s->flow);
	s->flow = NULL;
	s->room = 0;
}

/* The same on each machine, and for all parts of a flow that was cut. */
static uint64_t mixed(const struct plan_flow *f, uint32_t copy)
{
	uint64_t h = slot_key(f->ext_addr, f->ext_port, f->in_port) ^ (uint64_t)f->in_addr << 24 ^
		     (uint64_t)f->proto << 56 ^ (uint64_t)copy * 0xd6e8feb86659fd93ULL;

	h = (h ^ h >> 32) * 0xd6e8feb86659fd93ULL;
	h = (h ^ h >> 32) * 0xd6e8feb86659fd93ULL;
	return h ^ h >> 32;
}

int scaled_take(struct scaled *s, struct plan_flow **flow, size_t *n)
{
	uint32_t whole = (uint32_t)s->factor;
	double part = s->factor - whole;
	size_t room = *n * (whole + 1UL), left = 0;

	if (s->factor == 1)
		return 0;
	if (room > s->room) {
		struct plan_flow *more = reallocarray(s->flow, room, sizeof(*more));

		if (!more)
			return -ENOMEM;
		s->flow = more;
		s->room = room;
	}
	for (size_t i = 0; i < *n; i++) {
		uint32_t copies = whole + ((double)(mixed(&(*flow)[i], 0) >> 40) < part * (1 << 24));

		for (uint32_t k = 0; k < copies; k++) {
			s->flow[left] = (*flow)[i];
			if (k)
				s->flow[left].in_port = (uint16_t)(1024 + mixed(&(*flow)[i], k) % 64512);
			left++;
		}
	}
	*flow = s->flow;
	*n = left;
	return 0;
}
