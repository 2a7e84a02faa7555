/* SPDX-License-Identifier: BSD-2-Clause */
#include "ipfix/bindings.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"

void ipfix_bindings_add(struct ipfix_bindings *b, struct prefix in, struct prefix out, struct address_range of,
			bool made, uint64_t wall_ms)
{
	struct ipfix_binding one = {
		.next = of.first - in.base, .count = (uint64_t)of.last - in.base + 1, .wall_ms = wall_ms, .made = made
	};
	struct ipfix_binding *grown = NULL;
	char text[ADDR_TEXT];

	if (prefix_is_none(out))
		return;
	if (!mapping_geometry(in.base, in.plen, out.base, out.plen, &one.geometry))
		grown = reallocarray(b->list, b->n + 1, sizeof(*grown));
	if (!grown) {
		log_warning("ipfix: the addresses of mapping %s are not exported: out of memory",
			    prefix_format(in.base, in.plen, text));
		return;
	}
	grown[b->n++] = one;
	b->list = grown;
}

bool ipfix_bindings_next(struct ipfix_bindings *b, struct nat_event *ret, uint64_t *ret_wall_ms)
{
	struct ipfix_binding *one = b->list;

	if (!b->n)
		return false;
	*ret = (struct nat_event){
		.type = one->made ? EVENT_ADDRESS_BOUND : EVENT_ADDRESS_UNBOUND,
		.in_addr = one->geometry.in_base + (uint32_t)one->next,
		.out_addr = mapping_out_addr(&one->geometry, (uint32_t)one->next),
	};
	*ret_wall_ms = one->wall_ms;
	if (++one->next == one->count)
		memmove(b->list, b->list + 1, --b->n * sizeof(*b->list));
	return true;
}

void ipfix_bindings_clear(struct ipfix_bindings *b)
{
	uint64_t left = 0;

	for (size_t i = 0; i < b->n; i++)
		left += b->list[i].count - b->list[i].next;
	if (left)
		log_warning("ipfix: the bindings of %llu addresses were not exported before the end",
			    (unsigned long long)left);
	free(b->list);
	*b = (struct ipfix_bindings){ 0 };
}
