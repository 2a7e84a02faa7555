// SPDX-License-Identifier: BSD-2-Clause
#include "sessions/granted_ports.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <netinet/in.h>

#include <detnat/binding.h>

/* Entries fetched at a time. */
#define BATCH 512U

/* Buckets of the kernel's hash have few entries: a batch that does not fit is not expected. */
static int fetch(struct granted_port_scan *s, const struct datapath *d)
{
	LIBBPF_OPTS(bpf_map_batch_opts, opts);
	uint32_t next = 0, n = BATCH;
	int r;

	if (!s->keys)
		s->keys = calloc(BATCH, sizeof(*s->keys));
	if (!s->values)
		s->values = calloc(BATCH, sizeof(*s->values));
	if (!s->keys || !s->values)
		return -ENOMEM;
	r = bpf_map_lookup_batch(d->grant_bindings, s->started ? &s->cursor : NULL, &next, s->keys, s->values, &n,
				 &opts);
	if (r && r != -ENOENT)
		return r;
	s->started = true;
	s->cursor = next;
	s->n = n;
	return r ? 0 : 1;
}

int granted_ports_step(struct granted_port_scan *s, const struct datapath *d, granted_port_visit visit, void *arg)
{
	int more, r = 0;

	if (d->grant_bindings < 0)
		return 0;
	more = fetch(s, d);
	for (uint32_t i = 0; more >= 0 && !r && i < s->n; i++) {
		const struct grant_binding_key *key = &s->keys[i];

		if (key->direction == GRANT_BOUND_INSIDE)
			r = visit(&(struct granted_port){ .in_addr = key->in_addr,
							  .out_addr = key->out_addr,
							  .seen = s->values[i].seen,
							  .in_port = key->port,
							  .out_port = s->values[i].port,
							  .proto = key->proto },
				  arg);
	}
	return r ? r : more;
}

void granted_ports_end(struct granted_port_scan *s)
{
	free(s->keys);
	free(s->values);
	*s = (struct granted_port_scan){ 0 };
}

/* Of a subscriber that the datapath does not know, so that nothing else changes its entries. */
static void delete_entries(const struct datapath *d, const struct granted_port *p)
{
	const struct grant_binding_key key[] = {
		{ .out_addr = p->out_addr, .port = p->out_port, .proto = p->proto, .direction = GRANT_BOUND_OUTSIDE },
		{ p->in_addr, p->out_addr, p->in_port, p->proto, GRANT_BOUND_INSIDE },
		{ .in_addr = p->in_addr, .out_addr = p->out_addr, .direction = GRANT_BOUND_COUNT },
	};

	for (size_t i = 0; i < ARRAY_SIZE(key); i++)
		bpf_map_delete_elem(d->grant_bindings, &key[i]);
}

/* Changes a binding by the datapath's program, under the lock. Returns enum grant_binding_changed. */
static int change(const struct datapath *d, const struct granted_port *p, enum grant_binding_request request,
		  uint32_t seen)
{
	struct grant_binding_change c = { .out_addr = p->out_addr,
					  .seen = seen,
					  .out_port = p->out_port,
					  .in_port = p->in_port,
					  .proto = p->proto,
					  .request = (uint8_t)request };
	LIBBPF_OPTS(bpf_test_run_opts, run, .ctx_in = &c, .ctx_size_in = sizeof(c));

	/* A packet holds the lock at most. */
	for (int tries = 0; tries < 100; tries++) {
		if (bpf_prog_test_run_opts(d->grant_binding_change, &run))
			break;
		if (run.retval != GRANT_BINDING_BUSY)
			return (int)run.retval;
	}
	return GRANT_BINDING_BUSY;
}

/* Whether the programs know bindings of granted ports. */
static bool programs_bind(const struct datapath *d)
{
	return d->grant_binding_change >= 0 && d->settings.growth && d->settings.bindings;
}

static void end_binding(const struct mappings *m, const struct granted_port *p)
{
	struct datapath *d = mappings_datapath(m);

	if (!programs_bind(d) || mappings_find_outside(m, p->out_addr) < 0)
		delete_entries(d, p);
	else
		change(d, p, GRANT_BINDING_END, 0);
}

void granted_ports_forget(const struct mappings *m, uint32_t out_addr, uint16_t port_lo, uint16_t ports)
{
	static const uint8_t protocols[] = { IPPROTO_UDP, IPPROTO_TCP, IPPROTO_ICMP };
	struct datapath *d = mappings_datapath(m);

	for (uint32_t i = 0; i < ports * ARRAY_SIZE(protocols); i++) {
		const struct grant_binding_key key = { .out_addr = out_addr,
						       .port = (uint16_t)(port_lo + i / ARRAY_SIZE(protocols)),
						       .proto = protocols[i % ARRAY_SIZE(protocols)],
						       .direction = GRANT_BOUND_OUTSIDE };
		struct grant_binding b;

		if (!bpf_map_lookup_elem(d->grant_bindings, &key, &b))
			end_binding(m, &(struct granted_port){ .in_addr = b.addr,
							       .out_addr = out_addr,
							       .in_port = b.port,
							       .out_port = key.port,
							       .proto = key.proto });
	}
}

bool granted_port_is_of(const struct mappings *m, const struct mapping *r, uint32_t in_addr, uint16_t out_port)
{
	struct grant_key key = { .addr = mapping_out_addr(&r->geo, mapping_subscriber(&r->geo, in_addr)),
				 .direction = GRANT_OF_OUTSIDE };
	struct grant_value v;
	int32_t block = r->growth.block ? growth_block_of(&r->geo, r->growth.block, out_port) : -1;

	if (block < 0)
		return false;
	key.at = (uint16_t)growth_port_lo(&r->geo, r->growth.block, (uint32_t)block);
	return !bpf_map_lookup_elem(mappings_datapath(m)->grants, &key, &v) && v.addr == in_addr &&
	       v.ports == r->growth.block;
}

/* Whether a binding's port is granted to its subscriber, and the mapping binds ports of the protocol. */
static bool is_valid(const struct mappings *m, int number, const struct granted_port *p)
{
	const struct mapping *r = number < 0 ? NULL : mappings_get(m, number);

	return r && r->bindings.mapping & binding_protocol(p->proto) && mapping_has_inside(&r->geo, p->in_addr) &&
	       mapping_out_addr(&r->geo, mapping_subscriber(&r->geo, p->in_addr)) == p->out_addr &&
	       granted_port_is_of(m, r, p->in_addr, p->out_port);
}

void granted_port_sweep(const struct mappings *m, const struct granted_port *p, uint32_t now)
{
	int number = mappings_find_outside(m, p->out_addr);
	uint32_t life, late;

	if (!is_valid(m, number, p)) {
		end_binding(m, p);
		return;
	}
	/* As late as in the block: see remove_expired() in bound_ports.c. */
	life = mappings_get(m, number)->timeout_ticks[binding_timeout(p->proto)];
	late = life + life / 2 + 1;
	if ((int32_t)(now - p->seen) > (int32_t)late)
		change(mappings_datapath(m), p, GRANT_BINDING_EXPIRE, now - late);
}

void granted_port_keep(const struct mappings *m, int number, const struct granted_port *p, uint64_t word, uint32_t now)
{
	const struct mapping *r = mappings_get(m, number);
	const struct grant_binding_key key = { p->in_addr, p->out_addr, p->in_port, p->proto, GRANT_BOUND_INSIDE };
	struct datapath *d = mappings_datapath(m);
	bool established = word_state(word) == SESSION_ESTABLISHED;
	struct grant_binding b;

	if (!r->growth.block || !(r->bindings.mapping & binding_protocol(p->proto)) || !programs_bind(d))
		return;
	/* Packets from inside keep the stamp. It is behind where a connection is silent, or the outside refreshes. */
	if (bpf_map_lookup_elem(d->grant_bindings, &key, &b) || b.port != p->out_port)
		return;
	if ((int32_t)((established ? now : word_seen(word)) - b.seen) > 0)
		change(d, p, GRANT_BINDING_KEEP, established ? now : word_seen(word));
}
