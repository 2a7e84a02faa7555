/* SPDX-License-Identifier: BSD-2-Clause */
#include "ipfix/bindings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

#define FIRST_ROOM 16U

static int put(struct ipfix_bindings *b, const struct ipfix_binding *one)
{
	if (b->n == b->room) {
		size_t room = b->room ? 2 * b->room : FIRST_ROOM;
		struct ipfix_binding *grown = reallocarray(b->list, room, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		b->list = grown;
		b->room = room;
	}
	b->list[b->n++] = *one;
	return 0;
}

void ipfix_bindings_add(struct ipfix_bindings *b, const struct geometry *geo, struct address_range of, uint8_t tenant,
			bool made, uint64_t wall_ms)
{
	struct ipfix_binding one = { .geometry = *geo,
				     .next = of.first - geo->in_base,
				     .count = (uint64_t)of.last - geo->in_base + 1,
				     .wall_ms = wall_ms,
				     .tenant = tenant,
				     .made = made };
	char text[ADDR_TEXT];

	if (put(b, &one))
		log_warning("ipfix: the addresses of mapping %s are not exported: out of memory",
			    prefix_text(geometry_in(geo), text));
}

/* The event of a later port of the portmap, counted from its first. */
static struct nat_event port_of(const struct ipfix_binding *one, uint64_t number)
{
	struct nat_event e = one->portmap;

	e.in_port = (uint16_t)(e.in_port + number);
	e.out_port = (uint16_t)(e.out_port + number);
	return e;
}

static bool continues(const struct ipfix_binding *one, const struct nat_event *e)
{
	struct nat_event due = port_of(one, one->count);

	return one->portmap.type == e->type && due.proto == e->proto && due.in_addr == e->in_addr &&
	       due.out_addr == e->out_addr && due.in_port == e->in_port && due.out_port == e->out_port;
}

void ipfix_bindings_add_portmap(struct ipfix_bindings *b, const struct nat_event *e, uint64_t wall_ms)
{
	struct ipfix_binding one = { .portmap = *e, .count = 1, .wall_ms = wall_ms };
	struct ipfix_binding *last = b->n > b->first ? &b->list[b->n - 1] : NULL;
	char text[ADDR_TEXT];

	if (last && last->wall_ms == wall_ms && continues(last, e))
		last->count++;
	else if (put(b, &one))
		log_warning("ipfix: the portmap of %s:%u is not exported: out of memory",
			    addr_format(e->out_addr, text), e->out_port);
}

/* The event of one inside address of a mapping, with its block. Port 0 is in no subscriber's block. */
static struct nat_event address_of(const struct ipfix_binding *one, uint64_t number)
{
	uint32_t in_addr = one->geometry.in_base + (uint32_t)number;
	struct port_block block = mapping_block(&one->geometry, in_addr);

	return (struct nat_event){
		.type = one->made ? EVENT_ADDRESS_BOUND : EVENT_ADDRESS_UNBOUND,
		.in_addr = in_addr,
		.out_addr = block.out_addr,
		.out_port = (uint16_t)(block.port_lo ? block.port_lo : 1),
		.ext_port = (uint16_t)block.port_hi,
		.tenant = one->tenant,
	};
}

bool ipfix_bindings_next(struct ipfix_bindings *b, struct nat_event *ret, uint64_t *ret_wall_ms)
{
	struct ipfix_binding *one = &b->list[b->first];

	if (b->first == b->n)
		return false;
	*ret = one->portmap.type ? port_of(one, one->next) : address_of(one, one->next);
	*ret_wall_ms = one->wall_ms;
	if (++one->next == one->count && ++b->first == b->n) {
		free(b->list);
		*b = (struct ipfix_bindings){ 0 };
	}
	return true;
}

void ipfix_bindings_clear(struct ipfix_bindings *b)
{
	uint64_t left = 0;

	for (size_t i = b->first; i < b->n; i++)
		left += b->list[i].count - b->list[i].next;
	if (left)
		log_warning("ipfix: %llu bindings of addresses and ports were not exported before the end",
			    (unsigned long long)left);
	free(b->list);
	*b = (struct ipfix_bindings){ 0 };
}
