// SPDX-License-Identifier: BSD-2-Clause
#include "migration_fixture.h"

#include <bpf/bpf.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "datapath/running.h"
#include "fixture.h"
#include "sessions/check.h"

char own[64];
uint32_t extents = 4096;

void set_up_pins(void)
{
	settings.extent_buckets = extents;
	set_up();
	snprintf(own, sizeof(own), PIN_PATH "/v%u", LAYOUT_VERSION);
}

TestSuite(migration, .init = set_up_pins, .timeout = 300);
TestSuite(migration_maps, .init = set_up_pins, .timeout = 300);
TestSuite(former_sessions, .init = set_up_pins, .timeout = 300);

uint16_t send_out(uint16_t in_port)
{
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	struct frame f = {
		.from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = EXTERNAL, UDP, in_port, 53, .payload = 12
	};
	size_t size = frame_build(&f, in), out_size;

	cr_assert_eq(run_frame(XDP_INSIDE, in, size, out, &out_size), REDIRECT_XDP, "port %u", in_port);
	return (uint16_t)(out[34] << 8 | out[35]);
}

/* What comes back reaches the inside port. */
void expect_way_in(uint16_t out_port, uint16_t in_port)
{
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	struct frame f = {
		.from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = POOL, UDP, 53, out_port, .payload = 12
	};
	size_t size = frame_build(&f, in), out_size;

	cr_expect_eq(run_frame(XDP_OUTSIDE, in, size, out, &out_size), REDIRECT_XDP, "port %u", in_port);
	cr_expect_eq((uint16_t)(out[36] << 8 | out[37]), in_port);
}

const struct subscriber *record(void)
{
	return mappings_subscriber(mappings, 0, 2);
}

/* Two and two flows share their first choice of a port, so half of them are displaced. */
uint16_t port_of(unsigned flow)
{
	return (uint16_t)(5000 + flow / 2 + flow % 2 * PORTS);
}

uint16_t outside[FLOWS];

void open_flows(void)
{
	for (unsigned i = 0; i < FLOWS; i++)
		outside[i] = send_out(port_of(i));
	cr_assert_eq(record()->sessions, FLOWS);
	cr_assert_neq(record()->displaced, 0);
}

/* The agent ends; its pins are another layout's from now on, in whose types `from` is called `to`, if there is any. */
void become_another(const char *from, const char *to)
{
	struct bpf_map_info info = { 0 };
	uint32_t size = sizeof(info), zero = 0;
	char *value, *at;
	int fd;

	cr_assert_eq(running_save(datapath.running_state, "{}", 7, NULL), 0);
	mappings_close(mappings);
	datapath_close(&datapath);
	cr_assert_eq(rename(own, OTHER_LAYOUT), 0, "%s", strerror(errno));
	if (!from)
		return;
	fd = bpf_obj_get(OTHER_LAYOUT "/types");
	cr_assert(fd >= 0);
	cr_assert_eq(bpf_obj_get_info_by_fd(fd, &info, &size), 0);
	value = malloc(info.value_size);
	cr_assert_eq(bpf_map_lookup_elem(fd, &zero, value), 0);
	at = memmem(value, info.value_size, from, strlen(from) + 1);
	cr_assert(at, "%s is in no type", from);
	memcpy(at, to, strlen(to));
	cr_assert_eq(bpf_map_update_elem(fd, &zero, value, BPF_ANY), 0);
	free(value);
	close(fd);
}

int try_open(bool replace, struct error *err)
{
	struct config config = { .pin_path = (char *)PIN_PATH, .extent_buckets = extents };

	return datapath_open(&config, replace, &datapath, err);
}

void open_or_fail(void)
{
	struct error err = { "" };

	cr_assert_eq(try_open(false, &err), 0, "%s", err.text);
	cr_assert_eq(mappings_open(&datapath, &mappings, &err), 0, "%s", err.text);
	enter_ports();
}

uint64_t compare(bool repair)
{
	struct findings f = { 0 };
	struct table_check *c;
	int r;

	cr_assert_eq(table_check_new(mappings, repair, &f, &c), 0);
	while ((r = table_check_step(c, 1000)) > 0)
		if (r == TABLE_CHECK_WAITS)
			usleep(500);
	cr_assert_eq(r, 0);
	table_check_free(c);

	uint64_t total = f.total;

	if (f.n && !repair)
		cr_log_error("%s: %s", f.finding[0].where, f.finding[0].text);
	findings_free(&f);
	return total;
}

/* All sessions are where they were, in both directions, and every count is right. */
void expect_all(unsigned more)
{
	cr_expect_eq(record()->sessions, FLOWS + more);
	for (unsigned i = 0; i < FLOWS; i++) {
		expect_way_in(outside[i], port_of(i));
		cr_expect_eq(send_out(port_of(i)), outside[i]);
	}
	cr_expect_eq(record()->sessions, FLOWS + more, "nothing was opened twice");
	cr_expect_eq(compare(false), 0);
}

bool pinned(const char *path)
{
	return !access(path, F_OK);
}
