/* SPDX-License-Identifier: BSD-2-Clause */
/* Who may have had a port of an address, where the port is not known: exactly those whom each port's question names. */
#include <criterion/criterion.h>

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/array_grow.h"
#include "base/json_scan.h"
#include "history_text.h"
#include "json_get.h"
#include "who_candidates.h"

#define ADDR 0x01010100U

TestSuite(cli_candidates, .init = told_setup, .fini = told_teardown);

static struct history_claims no_claims;

/* The answer as JSON; the caller deletes it. */
static cJSON *candidates(const struct history_index *x, uint32_t addr, int64_t t, const char *args, int status)
{
	_cleanup_json_ cJSON *options = cJSON_Parse(args);
	_cleanup_free_ char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	struct writer w = { .out = out, .json = true };
	struct who_source s = { .index = x, .claims = &no_claims, .dir = "/dir", .until = 500 };
	struct error err = { 0 };

	cr_assert_eq(who_new(x, &s.who), 0);
	cr_expect_eq(who_candidates(&s, addr, t, options, &w, &err), status, "%s", err.text);
	fclose(out);
	who_free(s.who);
	return cJSON_Parse(text);
}

static bool has_row(const cJSON *list, const char *in_addr, const char *tenant, uint32_t port)
{
	const cJSON *row;

	cJSON_ArrayForEach (row, list)
		if (!strcmp(json_text(row, "in_addr", ""), in_addr) && !strcmp(json_text(row, "tenant", ""), tenant) &&
		    json_number(row, "port_lo") <= port && port <= json_number(row, "port_hi"))
			return true;
	return false;
}

/* For each port, the rows name those that who names, and nobody else. */
static void same_as_each_port(const struct history_index *x, const cJSON *list, int64_t t)
{
	uint64_t in_rows = 0, held = 0;
	struct who_answer a;
	struct error why;
	struct who *w;
	char addr[ADDR_TEXT];
	const cJSON *row;

	cr_assert_eq(who_new(x, &w), 0);
	for (uint32_t port = 0; port <= UINT16_MAX; port++) {
		who_ask(w, (struct endpoint){ ADDR, (uint16_t)port }, t, &a, &why);
		for (size_t i = 0; i < a.n_holders; i++) {
			addr_format(a.holders[i].in_addr, addr);
			cr_assert(has_row(list, addr, a.holders[i].tenant, port), "%s at %u", addr, port);
		}
		held += a.n_holders;
	}
	cJSON_ArrayForEach (row, list)
		if (!cJSON_HasObjectItem(row, "portmap") || json_number(row, "port_lo") < 1024)
			in_rows += (uint64_t)(json_number(row, "port_hi") - json_number(row, "port_lo")) + 1;
	cr_expect_eq(in_rows, held);
	who_free(w);
}

static void put_portmap(int64_t time, enum history_event event, uint8_t proto, uint16_t port, uint32_t host)
{
	struct history_record r = { .time = time, .event = event };
	char text[32];

	r.portmap.proto = proto;
	r.portmap.from = time;
	snprintf(text, sizeof(text), "10.0.0.%u:%u", host, port);
	cr_assert_eq(span_parse(text, &r.portmap.in), 0);
	snprintf(text, sizeof(text), "1.1.1.0:%u", port);
	cr_assert_eq(span_parse(text, &r.portmap.out), 0);
	told_put(r);
}

Test(cli_candidates, each_row_has_the_ports_of_a_block_and_each_portmap_a_row_of_its_own)
{
	struct history_index x;
	const cJSON *row;
	cJSON *json;
	char found[64];

	told_put_start(100, TIME_NONE);
	told_put_change(100, EVENT_ADD, A, 100);
	told_put_confirm(100);
	put_portmap(110, EVENT_PORTMAP, IPPROTO_UDP, 53, 3);
	put_portmap(110, EVENT_PORTMAP, IPPROTO_UDP, 54, 3);
	put_portmap(110, EVENT_PORTMAP, IPPROTO_TCP, 1025, 0);
	told_put_confirm(110);
	x = told_read_back();
	told_no_damage(&x);
	json = candidates(&x, ADDR, 200, "{\"limit\":100000}", EXIT_DONE);
	cr_assert_str_eq(json_text(json, "out_addr", ""), "1.1.1.0");
	cr_expect_str_eq(json_text(json, "time", ""), "1970-01-01T00:03:20Z");
	cr_expect_eq(json_number(json, "total"), 259);
	cr_expect_eq(json_number(json, "subscribers"), 256);
	cr_expect(cJSON_IsNull(json_get(json, "next")) && cJSON_IsTrue(json_get(json, "complete")));
	same_as_each_port(&x, json_get(json, "candidates"), 200);
	row = cJSON_GetArrayItem(json_get(json, "candidates"), 2);
	cr_expect_str_eq(json_text(row, "in_addr", ""), "10.0.0.0");
	cr_expect_eq(json_number(row, "port_lo"), 1024);
	cr_expect_eq(json_number(row, "port_hi"), 1275);
	cr_expect(cJSON_IsNull(json_get(row, "gateway")) && cJSON_IsNull(json_get(row, "customer")));
	row = json_get(cJSON_GetArrayItem(json_get(json, "candidates"), 3), "portmap");
	snprintf(found, sizeof(found), "%s %s", json_text(row, "proto", ""), json_text(row, "in", ""));
	cr_expect_str_eq(found, "tcp 10.0.0.0:1025");
	cJSON_Delete(json);
	history_index_free(&x);
}

Test(cli_candidates, pages_are_parts_of_the_whole)
{
	struct history_index x;
	unsigned seen = 0, offset = 0;
	static const struct {
		const char *args;
		int rows, next; /* 0: none */
	} edges[] = {
		{ "{\"offset\":4294967295}", 0, 0 }, { "{\"offset\":256}", 0, 0 },    { "{\"offset\":255}", 1, 0 },
		{ "{\"limit\":256}", 256, 0 },	     { "{\"limit\":255}", 255, 255 }, { "{\"limit\":1}", 1, 1 },
	};

	told_put_start(100, TIME_NONE);
	told_put_change(100, EVENT_ADD, A, 100);
	told_put_confirm(100);
	x = told_read_back();
	for (unsigned pages = 0; pages < 3; pages++) {
		char args[64];
		cJSON *json;

		snprintf(args, sizeof(args), "{\"offset\":%u}", offset);
		json = candidates(&x, ADDR, 200, args, EXIT_DONE);
		cr_expect_eq(json_number(json, "total"), 256);
		seen += (unsigned)cJSON_GetArraySize(json_get(json, "candidates"));
		cr_expect(cJSON_IsNull(json_get(json, "next")) == (pages == 2));
		offset = (unsigned)json_number(json, "next");
		cJSON_Delete(json);
	}
	cr_expect_eq(seen, 256);
	for (unsigned i = 0; i < sizeof(edges) / sizeof(*edges); i++) {
		cJSON *json = candidates(&x, ADDR, 200, edges[i].args, EXIT_DONE);

		cr_expect_eq(cJSON_GetArraySize(json_get(json, "candidates")), edges[i].rows, "%s", edges[i].args);
		cr_expect_eq(json_number(json, "next"), edges[i].next, "%s", edges[i].args);
		cJSON_Delete(json);
	}
	history_index_free(&x);
}

Test(cli_candidates, an_address_that_changes_hands_in_the_second_has_those_of_before_and_after)
{
	struct history_index x;
	cJSON *json;

	told_put_start(100, TIME_NONE);
	told_put_change(100, EVENT_ADD, A, 100);
	told_put_confirm(100);
	told_put_change(200, EVENT_DEL, A, 100);
	told_put_change(200, EVENT_ADD, B, 200);
	told_put_confirm(200);
	x = told_read_back();
	told_no_damage(&x);
	json = candidates(&x, ADDR, 200, "{\"limit\":1000}", EXIT_DONE);
	cr_expect_eq(json_number(json, "total"), 512);
	cr_expect(has_row(json_get(json, "candidates"), "10.0.0.7", "", 1024 + 7 * 252));
	cr_expect(has_row(json_get(json, "candidates"), "10.9.0.7", "", 1024 + 7 * 252));
	same_as_each_port(&x, json_get(json, "candidates"), 200);
	cJSON_Delete(json);
	json = candidates(&x, ADDR, 201, "{\"limit\":1000}", EXIT_DONE);
	cr_expect_eq(json_number(json, "total"), 256);
	cJSON_Delete(json);
	history_index_free(&x);
}

Test(cli_candidates, a_granted_block_is_a_row_of_its_own)
{
	struct history_mapping m = told_mapping(A, 100);
	struct history_grant g = { .in = 0x0a000005, .out = ADDR, .port_lo = 40000, .ports = 64, .from = 150 };
	struct history_index x;
	const cJSON *row;
	cJSON *json;

	m.blocks = (struct plan_blocks){ .first_port = 1024, .ratio = 256, .pitch = 64, .ports_per_host = 64 };
	told_put_start(100, TIME_NONE);
	told_put((struct history_record){ .time = 100, .event = EVENT_ADD, .mapping = m });
	told_put_confirm(100);
	told_put((struct history_record){ .time = 150, .event = EVENT_GRANT, .grant = g });
	told_put_confirm(150);
	x = told_read_back();
	told_no_damage(&x);
	json = candidates(&x, ADDR, 200, "{\"limit\":1000}", EXIT_DONE);
	cr_expect_eq(json_number(json, "total"), 257);
	cr_expect_eq(json_number(json, "subscribers"), 256);
	same_as_each_port(&x, json_get(json, "candidates"), 200);
	row = cJSON_GetArrayItem(json_get(json, "candidates"), 256);
	cr_expect_str_eq(json_text(row, "in_addr", ""), "10.0.0.5");
	cr_expect_eq(json_number(row, "port_lo"), 40000);
	cr_expect_eq(json_number(row, "port_hi"), 40063);
	cr_expect_eq(json_number(json_get(row, "grant"), "port_hi"), 40063);
	cJSON_Delete(json);
	history_index_free(&x);
}

Test(cli_candidates, no_record_and_nobody_are_told_apart)
{
	struct history_index x;
	cJSON *json;

	told_put_start(100, TIME_NONE);
	told_put_change(100, EVENT_ADD, A, 100);
	told_put_confirm(100);
	x = told_read_back();
	json = candidates(&x, ADDR, 99, "{}", EXIT_REFUSED);
	cr_expect(cJSON_IsFalse(json_get(json, "complete")) && json_number(json, "total") == 0);
	cJSON_Delete(json);
	json = candidates(&x, 0x05050505, 200, "{}", EXIT_REFUSED);
	cr_expect(cJSON_IsTrue(json_get(json, "complete")) && json_number(json, "total") == 0);
	cJSON_Delete(json);
	history_index_free(&x);
}
