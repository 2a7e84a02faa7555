/* SPDX-License-Identifier: BSD-2-Clause */
#include "sessions_fixture.h"

struct datapath d;
struct mappings *m;
int big, small;

void sessions_set_up(void)
{
	struct error err = { 0 };
	struct mapping_spec spec = tables_spec("10.0.0.0/24", "1.1.1.0/28");

	tables_make(&d);
	cr_assert_eq(mappings_open(&d, &m, &err), 0, "%s", err.text);
	/* Added later, but of lower address. */
	big = tables_add(m, &spec);
	spec = tables_spec("9.255.0.0/30", "1.1.2.0/32");
	spec.timeout_ticks[TIMEOUT_UDP] = 10;
	spec.session_slots = 8;
	small = tables_add(m, &spec);
}

struct session session_with(uint16_t port, uint8_t proto, uint8_t state)
{
	return (struct session){
		.ext_addr = 0xc6336407,
		.in_port = port,
		.out_port = (uint16_t)(1024 + port % 512),
		.ext_port = proto == IPPROTO_ICMP ? 0 : 443,
		.proto = proto,
		.state = state,
	};
}

void put(const char *addr, uint32_t slot, uint16_t port, uint8_t state, uint32_t seen)
{
	uint8_t proto = state == SESSION_UDP ? IPPROTO_UDP : state == SESSION_ICMP ? IPPROTO_ICMP : IPPROTO_TCP;
	struct session s = session_with(port, proto, state);

	tables_put(m, tables_addr(addr), slot, &s, seen);
}

void put_beyond(const char *addr, uint16_t port, uint32_t seen)
{
	struct session s = session_with(port, IPPROTO_UDP, SESSION_UDP);

	tables_put_beyond(m, tables_addr(addr), &s, seen);
}

struct subscriber *record(const char *addr)
{
	uint32_t in = tables_addr(addr);
	int number = mappings_find_any(m, in);

	return mappings_subscriber(m, number, in - mappings_get(m, number)->geo.in_base);
}

int collect(const struct session *s, void *arg)
{
	struct list *l = arg;

	cr_assert_lt(l->n, ARRAY_SIZE(l->s));
	l->s[l->n++] = *s;
	return l->stop_at && (int)l->n == l->stop_at ? -EINTR : 0;
}

struct list walk(struct session_walk *w, unsigned budget_us)
{
	struct list l = { .n = 0 };

	while (session_walk_step(w, budget_us, collect, &l))
		;
	session_walk_free(w);
	return l;
}

struct list walk_all(unsigned budget_us)
{
	struct session_walk *w;

	cr_assert_eq(session_walk_new(m, &w), 0);
	return walk(w, budget_us);
}

void fill(void)
{
	put("10.0.0.7", 31, 7, SESSION_UDP, NOW - 300); /* the last tick of its life */
	put("10.0.0.7", 0, 8, SESSION_UDP, NOW - 301);	/* expired */
	put("10.0.0.7", 1, 9, SESSION_TIME_WAIT, NOW);
	put("10.0.0.7", 2, 10, SESSION_ESTABLISHED, NOW + 1); /* another core's clock is ahead */
	put("10.0.0.7", 3, 11, SESSION_ESTABLISHED | SESSION_RESET, NOW - 100);
	put("10.0.0.255", 5, 12, SESSION_ICMP, NOW - 59);
	put("9.255.0.3", 7, 13, SESSION_UDP, NOW - 4);
	put("9.255.0.3", 6, 14, SESSION_UDP, NOW - 100); /* expired by its own mapping's timeout */
	put("10.0.0.9", 0, 15, SESSION_TIME_WAIT, NOW - 241);
	put_beyond("10.0.0.7", 20, NOW - 1);
	put_beyond("10.0.0.7", 21, NOW - 301);
	put_beyond("9.255.0.0", 22, NOW);
	put_beyond("10.0.0.254", 23, NOW);
}
