/* SPDX-License-Identifier: BSD-2-Clause */
#include "growing_fixture.h"

#include <bpf/bpf.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "history/history_read.h"

struct growing gr;

struct mapping_spec growing_spec(uint16_t block, uint16_t max_blocks)
{
	struct mapping_spec spec = tables_spec("10.0.0.0/25", "203.0.113.200/32");
	const struct mapping_parameters p = { .in_base = tables_addr("10.0.0.0"),
					      .last_subscriber = 127,
					      .out_base = tables_addr("203.0.113.200"),
					      .ratio = 128,
					      .first_port = 1024,
					      .pitch = FEW,
					      .ports_per_host = FEW };

	cr_assert_eq(mapping_make(&p, &spec.geo), 0);
	spec.growth = (struct growth_layout){ block, max_blocks };
	return spec;
}

void growing_setup(void)
{
	struct mapping_spec spec = growing_spec(BLOCK, 2);

	log_set_level(LOG_LEVEL_ERROR);
	tables_make(&gr.d);
	cr_assert_eq(mappings_open(&gr.d, &gr.m, &gr.err), 0, "%s", gr.err.text);
	gr.number = tables_add(gr.m, &spec);
	cr_assert_eq(grants_open(gr.m, &gr.g, &gr.err), 0, "%s", gr.err.text);
	gr.out = tables_addr("203.0.113.200");
	gr.in = tables_addr("10.0.0.3");
}

void growing_teardown(void)
{
	grants_close(gr.g);
	mappings_close(gr.m);
}

struct grant *made(uint32_t in_addr, uint32_t block)
{
	struct grant like = {
		.in_addr = in_addr, .out_addr = gr.out, .port_lo = (uint16_t)(SHARED + block * BLOCK), .ports = BLOCK
	};
	struct grant *grant;

	like.number = (uint8_t)grants_number(gr.g, in_addr, gr.out, GROWTH_MAX_BLOCKS);
	grant = grants_reserve(gr.g, &like);
	cr_assert(grant);
	cr_assert_eq(grants_make(gr.g, grant), 0);
	return grant;
}

void time_is_up(struct grant *i)
{
	i->until_s = boottime_s();
	cr_assert_eq(grants_touch(gr.g, i), 0);
}

void drop_entry(uint32_t addr, uint16_t at, uint8_t direction)
{
	struct grant_key key = { addr, at, direction, 0 };

	cr_assert_eq(bpf_map_delete_elem(gr.d.grants, &key), 0);
}

bool has_entry(uint32_t addr, uint16_t at, uint8_t direction)
{
	struct grant_key key = { addr, at, direction, 0 };
	struct grant_value value;

	return !bpf_map_lookup_elem(gr.d.grants, &key, &value);
}

size_t faults(bool repair)
{
	struct findings f = { 0 };
	size_t n;

	grants_audit(gr.g, repair, &f);
	n = f.total;
	findings_free(&f);
	return n;
}

static char directory[] = "/tmp/detnat-growth-XXXXXX";
static struct portmaps *portmaps;
static struct config *config;

void grow_configure_text(const char *text)
{
	config_free(config);
	cr_assert_eq(config_parse(text, strlen(text), "FILE", &config, &gr.err), 0, "%s", gr.err.text);
	growth_settle(gr.growth, config);
}

void grow_configure(const char *members)
{
	char text[512];

	snprintf(text, sizeof(text),
		 "{\"interfaces\":{\"inside\":[],\"outside\":[]},%s\"mappings\":[{\"in\":\"10.0.0.0/25\","
		 "\"out\":\"203.0.113.200/32\",\"ports_per_host\":448,%s}]}",
		 gr.alone ? ""
			  : "\"replication\":{\"listen\":\"192.0.2.1:4600\",\"peers\":[\"192.0.2.2:4600\"],\"key_"
			    "file\":\"/etc/detnat/key\"},",
		 members);
	grow_configure_text(text);
}

static void on_change(void *arg, const struct grant *grant, bool was_made)
{
	cr_assert_lt(gr.told.n, ARRAY_SIZE(gr.told.grant));
	gr.told.grant[gr.told.n] = *grant;
	gr.told.made[gr.told.n++] = was_made;
}

static void on_act(void *arg, const struct grant_act *act)
{
	cr_assert_lt(gr.told.n_acts, ARRAY_SIZE(gr.told.act));
	gr.told.act[gr.told.n_acts++] = *act;
}

static void start(void)
{
	cr_assert_eq(history_queue_new(gr.base, directory, &gr.d, gr.m, portmaps, gr.g, &gr.q, &gr.err), 0, "%s",
		     gr.err.text);
	history_queue_ready(gr.q);
	cr_assert_eq(growth_new(gr.base, gr.m, gr.g, gr.q, &gr.growth, &gr.err), 0, "%s", gr.err.text);
}

static void stop(enum history_event why)
{
	growth_free(gr.growth);
	history_queue_drain(gr.q);
	history_queue_close(gr.q, why);
}

void growing_setup_agent(void)
{
	growing_setup();
	gr.d.reused = false;
	cr_assert(mkdtemp(directory));
	cr_assert_eq(portmaps_open(gr.m, &portmaps, &gr.err), 0, "%s", gr.err.text);
	gr.base = event_base_new();
	start();
	grow_configure("\"growth\":{\"max_blocks\":2}");
	growth_on_change(gr.growth, on_change, NULL);
	growth_on_act(gr.growth, on_act, NULL);
}

void agent_starts_again(void)
{
	stop(EVENT_STOP);
	grants_close(gr.g);
	cr_assert_eq(grants_open(gr.m, &gr.g, &gr.err), 0, "%s", gr.err.text);
	gr.d.reused = true;
	start();
}

void datapath_is_another(void)
{
	stop(EVENT_DETACH);
	grants_close(gr.g);
	for (struct grant_key key; !bpf_map_get_next_key(gr.d.grants, NULL, &key);)
		cr_assert_eq(bpf_map_delete_elem(gr.d.grants, &key), 0);
	cr_assert_eq(grants_open(gr.m, &gr.g, &gr.err), 0, "%s", gr.err.text);
	gr.d.reused = false;
	start();
}

void growing_teardown_agent(void)
{
	char command[128];

	stop(EVENT_STOP);
	portmaps_close(portmaps);
	config_free(config);
	growing_teardown();
	snprintf(command, sizeof(command), "rm -rf %s", directory);
	cr_assert_eq(system(command), 0);
}

uint32_t owned(void)
{
	struct grant_figures f;

	grants_count(gr.g, &f);
	return f.grants;
}

void wait_owned(uint32_t n)
{
	while (owned() != n)
		event_base_loop(gr.base, EVLOOP_ONCE);
}

void ask_block(uint32_t in_addr)
{
	growth_ask(gr.growth, in_addr, clock_ns(CLOCK_MONOTONIC));
}

struct grant *granted(uint32_t in_addr)
{
	ask_block(in_addr);
	wait_owned(owned() + 1);
	return grants_of(gr.g, in_addr, NULL);
}

static void on_counted(void *arg)
{
	*(bool *)arg = true;
}

void passes_go_by(unsigned n)
{
	for (; n; n--) {
		bool counted = false;

		cr_assert_eq(growth_count(gr.growth, on_counted, &counted), 0);
		while (!counted)
			event_base_loop(gr.base, EVLOOP_ONCE);
	}
}

void pass_is_asked_for(void)
{
	static bool counted;

	cr_assert_eq(growth_count(gr.growth, on_counted, &counted), 0);
	for (unsigned n = 0; n < 100; n++)
		event_base_loop(gr.base, EVLOOP_NONBLOCK);
}

void put_session(uint32_t in_addr, uint16_t in_port, uint16_t out_port)
{
	const struct session s = { .ext_addr = tables_addr("198.51.100.7"),
				   .in_port = in_port,
				   .out_port = out_port,
				   .ext_port = in_port, /* so that several may have one port */
				   .proto = IPPROTO_UDP,
				   .state = SESSION_UDP };

	tables_put_beyond(gr.m, in_addr, &s, datapath_ticks(&gr.d));
}

const char *grant_lines(void)
{
	static char words[1024];
	struct history_files f;
	char addr[ADDR_TEXT];

	cr_assert_eq(history_files_read(directory, &f, &gr.err), 0, "%s", gr.err.text);
	cr_expect_eq(f.index.n_damages, 0);
	words[0] = '\0';
	/* A line that is still being written has no end yet. */
	for (char *at = f.text, *end; (end = memchr(at, '\n', f.size - (size_t)(at - f.text))); at = end + 1) {
		struct history_record r;

		cr_assert_eq(history_record_read(at, (size_t)(end - at), &r, &gr.err), 0, "%s", gr.err.text);
		if (r.event == EVENT_GRANT)
			snprintf(words + strlen(words), sizeof(words) - strlen(words), "%s%c%s:%u", *words ? " " : "",
				 r.ends ? '-' : '+', addr_format(r.grant.in, addr), r.grant.port_lo);
		history_record_free(&r);
	}
	history_files_free(&f);
	return words;
}
