// SPDX-License-Identifier: BSD-2-Clause
#include "reach_fixture.h"

#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>

#include <criterion/criterion.h>

void reach_run(const char *commands)
{
	cr_assert_eq(system(commands), 0, "%s", commands);
	datapath_raise_epoch(&datapath);
}

void reach_set_up(void)
{
	struct mapping_spec open = {
		.in = { OPEN_IN, 32 }, .out = { OPEN_OUT, 32 }, .open = true, .sessions_per_user = 1000
	};

	bindings = (struct binding_layout){ .mapping = BINDING_UDP | BINDING_TCP,
					    .filtering = BINDING_UDP | BINDING_TCP,
					    .inbound = 25 };
	settings.open_mappings = 1;
	portmap_set_up();
	for (int i = 0; i < N_TIMEOUTS; i++)
		open.timeout_ticks[i] = 10000;
	make_mapping(&open, NULL);
	reach_run("ip route add 192.0.3.0/24 via 10.0.0.3");
	map_port(UDP, SUBSCRIBER, 8080, WEB);
	map_port(TCP, SUBSCRIBER, 8080, WEB);
	cr_assert_eq(open_flow(UDP, 6304, 53, 0), BOUND);
}

uint32_t reach_second(const char *prefix, uint8_t roles)
{
	char command[300];
	uint32_t ifindex;

	snprintf(command, sizeof(command),
		 "ip link add tin2 type veth peer name pin2; ip link set tin2 address 02:00:00:00:00:01;"
		 "ip link set tin2 up; ip link set pin2 up; ip route replace %s dev tin2;"
		 "ip neigh add 192.0.3.9 lladdr 02:00:00:00:00:03 dev tin2",
		 prefix);
	reach_run(command);
	ifindex = if_nametoindex("tin2");
	datapath.device[ifindex] = datapath.device[inside_ifindex];
	datapath.device[ifindex].roles = roles;
	datapath_raise_epoch(&datapath);
	return ifindex;
}
