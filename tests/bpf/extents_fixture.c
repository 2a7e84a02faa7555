// SPDX-License-Identifier: BSD-2-Clause
#include "extents_fixture.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "sessions/check.h"
#include "tables/mapping_tables.h"
#include "told_routes.h"

void extents_mapping(uint32_t sessions)
{
	struct mapping_spec spec = { .in = { ADDR(10, 1, 0, 0), 24 },
				     .out = { OUT, 30 },
				     .sessions_per_user = sessions,
				     .session_slots = SLOTS };

	memcpy(spec.timeout_ticks, datapath.mapping[0].timeout_ticks, sizeof(spec.timeout_ticks));
	make_mapping(&spec, NULL);
	cr_assert_eq(system("ip route replace 10.1.0.0/24 via 10.0.0.2 dev tin"), 0);
	datapath_raise_epoch(&datapath);
	refresh_followed_routes();
}

void set_up_extents(void)
{
	settings.extent_buckets = 4096;
	settings.tc = TC_ALONE;
	set_up();
	extents_mapping(4000);
}

int extents_number(void)
{
	return mappings_find_any(mappings, IN);
}

struct subscriber *extents_record(void)
{
	return mappings_subscriber(mappings, extents_number(), IN - ADDR(10, 1, 0, 0));
}

uint32_t extents_size(void)
{
	return extent_buckets(subscriber_extent(extents_record()));
}

uint16_t extents_port(unsigned flow)
{
	return (uint16_t)(IN_PORT + flow % PORTS);
}

uint16_t extents_ext(unsigned flow)
{
	return (uint16_t)(1000 + flow);
}

int extents_open_nth(uint8_t proto, unsigned flow, uint8_t flags)
{
	if (flow % 16 == 0)
		refresh_followed_routes();
	return open_flow_in_time(IN, proto, extents_port(flow), extents_ext(flow), flags);
}

uint16_t extents_out_port(unsigned flow)
{
	return (uint16_t)(1024 + PORTS * 2 + extents_port(flow) % PORTS);
}

unsigned extents_open_until(uint32_t size)
{
	unsigned n = 0;

	for (; extents_size() < size && n < 2000; n++)
		cr_assert_eq(extents_open_nth(UDP, n, 0), extents_out_port(n), "flow %u", n);
	cr_assert_eq(extents_size(), size);
	return n;
}

void extents_open_those(uint8_t proto, unsigned first, unsigned end, uint8_t flags)
{
	for (unsigned i = first; i < end; i++)
		cr_assert_eq(extents_open_nth(proto, i, flags), extents_out_port(i), "flow %u", i);
}

void extents_expect_answer_to(const struct extents_flow *f, enum hook in)
{
	const struct row rows[] = {
		{ "an answer",
		  in,
		  { .from = ROUTER,
		    .to = GATEWAY_OUT,
		    .src = EXTERNAL,
		    .dst = OUT,
		    f->proto,
		    f->ext_port,
		    f->out_port,
		    .flags = f->flags,
		    .payload = 30 },
		  REDIRECT_XDP,
		  { .ttl = 63,
		    .from = GATEWAY_IN,
		    .to = HOST,
		    .src = EXTERNAL,
		    .dst = IN,
		    f->proto,
		    f->ext_port,
		    f->in_port,
		    .flags = f->flags,
		    .payload = 30 },
		  REASON_out2in_translated },
	};

	RUN_ROWS(rows);
}

void extents_expect_both_ways(const struct extents_flow *f, enum hook out, enum hook in)
{
	const struct row rows[] = {
		{ "a packet of its subscriber",
		  out,
		  { .from = HOST,
		    .to = GATEWAY_IN,
		    .src = IN,
		    .dst = EXTERNAL,
		    f->proto,
		    f->in_port,
		    f->ext_port,
		    .flags = f->flags,
		    .payload = 30 },
		  REDIRECT_XDP,
		  { .ttl = 63,
		    .from = GATEWAY_OUT,
		    .to = ROUTER,
		    .src = OUT,
		    .dst = EXTERNAL,
		    f->proto,
		    f->out_port,
		    f->ext_port,
		    .flags = f->flags,
		    .payload = 30 },
		  REASON_in2out_translated },
	};
	uint64_t opened = counted(REASON_sessions_opened);

	RUN_ROWS(rows);
	extents_expect_answer_to(f, in);
	cr_expect_eq(counted(REASON_sessions_opened), opened, "port %u: another session", f->in_port);
}

static struct extents_flow nth(uint8_t proto, unsigned flow, uint8_t flags)
{
	return (struct extents_flow){ proto, flags, extents_port(flow), extents_ext(flow), extents_out_port(flow) };
}

void extents_expect_answer(uint8_t proto, unsigned flow, uint8_t flags, enum hook in)
{
	const struct extents_flow f = nth(proto, flow, flags);

	extents_expect_answer_to(&f, in);
}

void extents_expect_passes(uint8_t proto, unsigned flow, uint8_t flags, enum hook out, enum hook in)
{
	const struct extents_flow f = nth(proto, flow, flags);

	extents_expect_both_ways(&f, out, in);
}

static struct findings check(bool repair)
{
	struct findings f = { 0 };
	struct table_check *c;
	int r;

	cr_assert_eq(table_check_new(mappings, repair, &f, &c), 0);
	while ((r = table_check_step(c, 1000)) > 0)
		if (r == TABLE_CHECK_WAITS)
			usleep(500);
	table_check_free(c);
	return f;
}

struct findings extents_findings(void)
{
	return check(false);
}

struct findings extents_repair(void)
{
	return check(true);
}

void extents_tables_right(void)
{
	struct findings f = extents_findings();

	cr_expect_eq(f.total, 0, "%s: %s", f.n ? f.finding[0].where : "", f.n ? f.finding[0].text : "");
	findings_free(&f);
}

int extents_keep(const struct session *s, void *arg)
{
	*(unsigned *)arg += s->in_addr == IN;
	return 0;
}

unsigned extents_sweep(void)
{
	unsigned told = 0;
	struct session_sweep *s;

	cr_assert_eq(session_sweep_new(mappings, &s), 0);
	while (session_sweep_step(s, 1000000, extents_keep, &told) > 0)
		;
	session_sweep_free(s);
	return told;
}

void extents_reclaim_all(void)
{
	enum reclaim r;

	while ((r = mappings_reclaim_step(mappings)) != RECLAIM_DONE)
		if (r == RECLAIM_WAITS)
			usleep(1000);
}
