/* SPDX-License-Identifier: BSD-2-Clause */
/* Every refusal: the row's text gives the row's message, to the letter, with file, line and key path. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "config_refused.h"

Test(config_refused, keys)
{
	static const struct refused_row rows[] = {
		{ "{}", ":1: interfaces: this key is missing" },
		{ "\n\n{}", ":3: interfaces: this key is missing" },
		{ "[]", ":1: must be an object" },
		{ "null", ":1: must be an object" },
		{ "7", ":1: must be an object" },
		{ WITH("\"colour\":1"), ":2: colour: unknown key" },
		{ WITH("\"Hairpin\":true"), ":2: Hairpin: unknown key; did you mean hairpin?" },
		{ WITH("\"\":true"), ":2: \"\": unknown key" },
		{ WITH("\"hairpin \":true"), ":2: \"hairpin \": unknown key; did you mean hairpin?" },
		{ WITH("\"hairpin\":true,\n\"answer_arp\":true,\n\"hairpin\":true"),
		  ":4: hairpin: this key is here twice" },
		{ WITH("\"hairpin\":true,\n\"hair\\u0070in\":true"), ":3: hairpin: this key is here twice" },
		{ WITH(INTERFACES), ":2: interfaces: this key is here twice" },
		{ WITH("\"mappings\":[],\"mappings\":[]"), ":2: mappings: this key is here twice" },
		{ WITH("\"timeouts\":{\"udp\":1,\n\"udp\":2}"), ":3: timeouts.udp: this key is here twice" },
		{ WITH("\"timeouts\":{\n\"UDP\":1}"), ":3: timeouts.UDP: unknown key" },
		{ WITH("\"metrics\":{\"port\":1}"), ":2: metrics.port: unknown key" },
		{ WITH("\"bypass\":[],\"bypass\":[]"), ":2: bypass: this key is here twice" },
		{ WITH("\"x\":{\"y\":[{}]}"), ":2: x: unknown key" },
	};

	expect_refused(rows, ARRAY_SIZE(rows));
}

#define ATTACK(x) WITH("\"attack\":{" x "}")

Test(config_refused, attack)
{
	static const struct refused_row rows[] = {
		{ WITH("\"attack\":true"), ":2: attack: must be an object" },
		{ WITH("\"attack\":null"), ":2: attack: must be an object" },
		{ ATTACK(""), ":2: attack.packets_per_second: this key is missing" },
		{ ATTACK("\"hold\":300"), ":2: attack.packets_per_second: this key is missing" },
		{ ATTACK("\"packets_per_second\":0"),
		  ":2: attack.packets_per_second: must be a whole number from 1 to 4294967295, not 0" },
		{ ATTACK("\"packets_per_second\":4294967296"),
		  ":2: attack.packets_per_second: must be a whole number from 1 to 4294967295, not 4294967296" },
		{ ATTACK("\"packets_per_second\":\"200k\""),
		  ":2: attack.packets_per_second: must be a whole number from 1 to 4294967295, not \"200k\"" },
		{ ATTACK("\"packets_per_second\":1,\"hold\":0"),
		  ":2: attack.hold: must be a whole number from 1 to 86400, not 0" },
		{ ATTACK("\"packets_per_second\":1,\"hold\":86401"),
		  ":2: attack.hold: must be a whole number from 1 to 86400, not 86401" },
		{ ATTACK("\"packets_per_second\":1,\n\"exec\":\"rtbh\""),
		  ":3: attack.exec: must be an absolute path of at most 255 octets, not \"rtbh\"" },
		{ ATTACK("\"packets_per_second\":1,\"exec\":[\"/bin/true\"]"),
		  ":2: attack.exec: must be an absolute path of at most 255 octets, not a list" },
		{ ATTACK("\"packets_per_second\":1,\"exec\":null"),
		  ":2: attack.exec: must be an absolute path of at most 255 octets, not null" },
		{ ATTACK("\"packets_per_second\":1,\"script\":\"/bin/true\""), ":2: attack.script: unknown key" },
		{ WITH("\"mappings\":[{\"in\":\"10.0.0.0/11\",\"out\":\"11.0.0.0/11\"}],\n"
		       "\"attack\":{\"packets_per_second\":1}"),
		  ":3: attack: there are 2097152 pool addresses, in units of 16 for each pool, and packets can be "
		  "counted for 1048576; leave `attack` out, or have fewer pools" },
	};

	expect_refused(rows, ARRAY_SIZE(rows));
}

#define TO_POOL	   "\"mappings\":[{\"in\":\"10.0.0.0/24\",\"out\":\"1.1.1.0/30\"}],\n"
#define PORTMAP(x) WITH(TO_POOL "\"portmaps\":[{" x "}]")

Test(config_refused, portmaps)
{
	static const struct refused_row rows[] = {
		{ PORTMAP("\"proto\":\"tcp\""), ":3: portmaps[0].in: this key is missing" },
		{ PORTMAP("\"proto\":\"icmp\",\"in\":\"10.0.0.2:1\""),
		  ":3: portmaps[0].proto: must be one of \"tcp\", \"udp\", \"both\", not \"icmp\"" },
		{ PORTMAP("\"proto\":\"tcp\",\"in\":\"10.9.0.2:1\""),
		  ":3: portmaps[0].in: 10.9.0.2 is not an inside address of any mapping: portmap 10.9.0.2:1 must "
		  "name a subscriber, or be deleted first" },
		{ PORTMAP("\"proto\":\"tcp\",\"in\":\"10.0.0.2:1\",\n\"out\":\"1.1.1.1:1\""),
		  ":4: portmaps[0].out: 10.0.0.2 leaves through 1.1.1.0, not 1.1.1.1: portmap 10.0.0.2:1 must have "
		  "1.1.1.0 outside, or be deleted first" },
		{ PORTMAP("\"proto\":\"tcp\",\"in\":\"10.0.0.2:1\",\n\"out\":\"1.1.1.0:1024\""),
		  ":4: portmaps[0].out: port 1024 of 1.1.1.0 is in the block of 10.0.0.0: take one of 3040 to 4047, "
		  "or below 1024" },
		{ PORTMAP("\"proto\":\"tcp\",\"in\":\"10.0.0.2:1-2\",\n\"out\":\"1.1.1.0:1\""),
		  ":4: portmaps[0].out: has 1 ports, but `in` has 2" },
		{ PORTMAP("\"proto\":\"tcp\",\"in\":\"10.0.0.2:1\"},\n{\"proto\":\"both\",\"in\":\"10.0.0.2:1\""),
		  ":4: portmaps[1].out: tcp 1.1.1.0:3041 is taken by another portmap, 10.0.0.2:1" },
	};

	expect_refused(rows, ARRAY_SIZE(rows));
}

Test(config_refused, interfaces)
{
	static const struct refused_row rows[] = {
		{ "{\"interfaces\":[]}", ":1: interfaces: must be an object" },
		{ "{\"interfaces\":{}}", ":1: interfaces.inside: this key is missing" },
		{ "{\"interfaces\":{\"inside\":[]}}", ":1: interfaces.outside: this key is missing" },
		{ "{\"interfaces\":{\"outside\":[]}}", ":1: interfaces.inside: this key is missing" },
		{ "{\"interfaces\":{\"inside\":\"eth1\",\"outside\":[]}}",
		  ":1: interfaces.inside: must be a list of names of interfaces" },
		{ "{\"interfaces\":{\"inside\":[],\"outside\":[],\n\"both\":[]}}", ":2: interfaces.both: unknown key" },
		{ "{\"interfaces\":{\"inside\":[\"a\",\n\"b\",\n\"a\"],\"outside\":[]}}",
		  ":3: interfaces.inside[2]: a is in this list already" },
		{ "{\"interfaces\":{\"inside\":[\"a\"],\"outside\":[\"a\",\n\"a\"]}}",
		  ":2: interfaces.outside[1]: a is in this list already" },
		{ "{\"interfaces\":{\"inside\":[\"\"],\"outside\":[]}}",
		  ":1: interfaces.inside[0]: must be the name of an interface, 1 to 15 characters" },
		{ "{\"interfaces\":{\"inside\":[],\n\"outside\":[\"*\"]}}",
		  ":2: interfaces: \"*\" cannot be outside: name the outside interfaces, or write a name with '*' such "
		  "as "
		  "\"wan*\"" },
		{ "{\"interfaces\":{\"inside\":[\"**\"],\"outside\":[]}}",
		  ":1: interfaces: write \"*\" for any interface, or a name with '*' such as \"ppp*\"" },
		{ "{\"interfaces\":{\"inside\":[{\"name\":\"*\",\"xdp_mode\":\"auto\"}],\"outside\":[]}}",
		  ":1: interfaces: \"*\" runs no XDP: leave its 'xdp_mode' out" },
		{ "{\"interfaces\":{\"inside\":[{\"name\":\"*\",\"xdp_priority\":1}],\"outside\":[]}}",
		  ":1: interfaces: \"*\" runs no XDP: leave its 'xdp_dispatcher' and 'xdp_priority' out" },
		{ "{\"interfaces\":{\"inside\":[{\"name\":\"a\",\"xdp_priority\":256}],\"outside\":[]}}",
		  ":1: interfaces.inside[0].xdp_priority: must be a whole number from 0 to 255, not 256" },
		{ "{\"interfaces\":{\"inside\":[{\"name\":\"a\",\"xdp_priority\":1}],"
		  "\"outside\":[{\"name\":\"a\",\"xdp_priority\":2}]}}",
		  ":1: interfaces.outside[0]: a has another 'xdp_priority' in the other list" },
		{ "{\"interfaces\":{\"inside\":[{\"name\":\"a\",\"xdp_dispatcher\":\"none\"}],"
		  "\"outside\":[{\"name\":\"a\",\"xdp_dispatcher\":\"libxdp\"}]}}",
		  ":1: interfaces.outside[0]: a has another 'xdp_dispatcher' in the other list" },
		{ "{\"interfaces\":{\"inside\":[\"1234567890123456\"],\"outside\":[]}}",
		  ":1: interfaces.inside[0]: must be the name of an interface, 1 to 15 characters" },
		{ "{\"interfaces\":{\"inside\":[],\"outside\":[\"a\",\"b/c\"]}}",
		  ":1: interfaces.outside[1]: must be the name of an interface, 1 to 15 characters" },
		{ "{\"interfaces\":{\"inside\":[1],\"outside\":[]}}",
		  ":1: interfaces.inside[0]: must be the name of an interface, 1 to 15 characters" },
		{ "{\"interfaces\":{\"inside\":[null],\"outside\":[]}}",
		  ":1: interfaces.inside[0]: must be the name of an interface, 1 to 15 characters" },
	};

	expect_refused(rows, ARRAY_SIZE(rows));
}

Test(config_refused, numbers)
{
	static const struct refused_row rows[] = {
		{ WITH("\"sessions_per_user\":0"),
		  ":2: sessions_per_user: must be a whole number from 1 to 65535, not 0" },
		{ WITH("\"sessions_per_user\":65536"),
		  ":2: sessions_per_user: must be a whole number from 1 to 65535, not 65536" },
		{ WITH("\"sessions_per_user\":-1"),
		  ":2: sessions_per_user: must be a whole number from 1 to 65535, not -1" },
		{ WITH("\"sessions_per_user\":1.5"),
		  ":2: sessions_per_user: must be a whole number from 1 to 65535, not 1.5" },
		{ WITH("\"sessions_per_user\":\"1000\""),
		  ":2: sessions_per_user: must be a whole number from 1 to 65535, not \"1000\"" },
		{ WITH("\"sessions_per_user\":true"),
		  ":2: sessions_per_user: must be a whole number from 1 to 65535, not true" },
		{ WITH("\"sessions_per_user\":null"),
		  ":2: sessions_per_user: must be a whole number from 1 to 65535, not null" },
		{ WITH("\"sessions_per_user\":{}"),
		  ":2: sessions_per_user: must be a whole number from 1 to 65535, not an object" },
		{ WITH("\"sessions_per_user\":1e999"),
		  ":2: sessions_per_user: must be a whole number from 1 to 65535, not inf" },
		{ WITH("\"sessions_per_user\":-1e999"),
		  ":2: sessions_per_user: must be a whole number from 1 to 65535, not -inf" },
		{ WITH("\"sessions_per_user\":4294967297"),
		  ":2: sessions_per_user: must be a whole number from 1 to 65535, not 4294967297" },
		{ WITH("\"sessions_per_user\":18446744073709551617"),
		  ":2: sessions_per_user: must be a whole number from 1 to 65535, not 1.84467440737096e+19" },
		{ WITH("\"endpoint_independent\":{\"filtering\":[\"udp\"]}"),
		  ": endpoint_independent.filtering: udp must be in `mapping`, too: endpoint-independent filtering "
		  "requires endpoint-independent mapping" },
		{ WITH("\"endpoint_independent\":{\"mapping\":[\"sctp\"]}"),
		  ":2: endpoint_independent.mapping[0]: must be one of \"udp\", \"tcp\", \"icmp\", not \"sctp\"" },
		{ WITH("\"endpoint_independent\":{\"filtering\":[\"icmp\"]}"),
		  ":2: endpoint_independent.filtering[0]: must be one of \"udp\", \"tcp\", not \"icmp\"" },
		{ WITH("\"endpoint_independent\":{\"inbound_sessions\":0}"),
		  ":2: endpoint_independent.inbound_sessions: must be a whole number from 1 to 100, not 0" },
		{ WITH("\"endpoint_independent\":{\"inbound_sessions\":101}"),
		  ":2: endpoint_independent.inbound_sessions: must be a whole number from 1 to 100, not 101" },
		{ WITH("\"session_slots\":4"),
		  ":2: session_slots: must be \"auto\" or a power of two from 8 to 2048, not 4" },
		{ WITH("\"session_slots\":4096"),
		  ":2: session_slots: must be \"auto\" or a power of two from 8 to 2048, not 4096" },
		{ WITH("\"session_slots\":129"),
		  ":2: session_slots: must be \"auto\" or a power of two from 8 to 2048, not 129" },
		{ WITH("\"session_slots\":\"Auto\""),
		  ":2: session_slots: must be \"auto\" or a power of two from 8 to 2048, not \"Auto\"" },
		{ WITH("\"session_slots\":4294967295"),
		  ":2: session_slots: must be \"auto\" or a power of two from 8 to 2048, not 4294967295" },
		{ WITH("\"overflow_sessions\":-1"),
		  ":2: overflow_sessions: must be a whole number from 0 to 16777216, not -1" },
		{ WITH("\"overflow_sessions\":16777217"),
		  ":2: overflow_sessions: must be a whole number from 0 to 16777216, not 16777217" },
		{ WITH("\"timeouts\":[]"), ":2: timeouts: must be an object" },
		{ WITH("\"timeouts\":{\"udp\":0}"),
		  ":2: timeouts.udp: must be a whole number from 1 to 604800, not 0" },
		{ WITH("\"timeouts\":{\"tcp_established\":604801}"),
		  ":2: timeouts.tcp_established: must be a whole number from 1 to 604800, not 604801" },
		{ WITH("\"timeouts\":{\"udp\":1,\n\"tcp_transitory\":\"x\"}"),
		  ":3: timeouts.tcp_transitory: must be a whole number from 1 to 604800, not \"x\"" },
		{ WITH("\"timeouts\":{\"icmp\":0.5}"),
		  ":2: timeouts.icmp: must be a whole number from 1 to 604800, not 0.5" },
		{ WITH("\"quota_icmp_code\":16"), ":2: quota_icmp_code: must be a whole number from 0 to 15, not 16" },
		{ WITH("\"quota_icmp_code\":256"),
		  ":2: quota_icmp_code: must be a whole number from 0 to 15, not 256" },
		{ WITH("\"sweep_interval\":0"), ":2: sweep_interval: must be a whole number from 1 to 86400, not 0" },
		{ WITH("\"sweep_interval\":86401"),
		  ":2: sweep_interval: must be a whole number from 1 to 86400, not 86401" },
		{ WITH("\"tcp_mss_clamp\":535"),
		  ":2: tcp_mss_clamp: must be 0, \"mtu\", or a whole number from 536 to 65495, not 535" },
		{ WITH("\"tcp_mss_clamp\":65496"),
		  ":2: tcp_mss_clamp: must be 0, \"mtu\", or a whole number from 536 to 65495, not 65496" },
		{ WITH("\"tcp_mss_clamp\":4294967295"),
		  ":2: tcp_mss_clamp: must be 0, \"mtu\", or a whole number from 536 to 65495, not 4294967295" },
		{ WITH("\"tcp_mss_clamp\":\"MTU\""),
		  ":2: tcp_mss_clamp: must be 0, \"mtu\", or a whole number from 536 to 65495, not \"MTU\"" },
		{ WITH("\"tcp_mss_clamp\":false"),
		  ":2: tcp_mss_clamp: must be 0, \"mtu\", or a whole number from 536 to 65495, not false" },
	};

	expect_refused(rows, ARRAY_SIZE(rows));
}

Test(config_refused, fragments)
{
	static const struct refused_row rows[] = {
		{ WITH("\"fragments\":7"), ":2: fragments: must be an object" },
		{ WITH("\"fragments\":{\"parked\":1}"), ":2: fragments.parked: unknown key" },
		{ WITH("\"fragments\":{\"timeout\":1,\n\"timeout\":1}"),
		  ":3: fragments.timeout: this key is here twice" },
		{ WITH("\"fragments\":{\"max_parked\":65537}"),
		  ":2: fragments.max_parked: must be a whole number from 0 to 65536, not 65537" },
		{ WITH("\"fragments\":{\"max_parked\":-1}"),
		  ":2: fragments.max_parked: must be a whole number from 0 to 65536, not -1" },
		{ WITH("\"fragments\":{\"max_bytes\":4095}"),
		  ":2: fragments.max_bytes: must be a whole number from 4096 to 1073741824, not 4095" },
		{ WITH("\"fragments\":{\"max_bytes\":1073741825}"),
		  ":2: fragments.max_bytes: must be a whole number from 4096 to 1073741824, not 1073741825" },
		{ WITH("\"fragments\":{\"timeout\":0}"),
		  ":2: fragments.timeout: must be a whole number from 1 to 60, not 0" },
		{ WITH("\"fragments\":{\"timeout\":61}"),
		  ":2: fragments.timeout: must be a whole number from 1 to 60, not 61" },
		{ WITH("\"fragments\":{\"per_subscriber\":0}"),
		  ":2: fragments.per_subscriber: must be a whole number from 1 to 65536, not 0" },
		{ WITH("\"fragments\":{\"per_subscriber\":65537}"),
		  ":2: fragments.per_subscriber: must be a whole number from 1 to 65536, not 65537" },
	};

	expect_refused(rows, ARRAY_SIZE(rows));
}

Test(config_refused, words_and_paths)
{
	static const struct refused_row rows[] = {
		{ WITH("\"forwarding\":\"xdp\""),
		  ":2: forwarding: must be one of \"redirect\", \"kernel\", not \"xdp\"" },
		{ WITH("\"forwarding\":0"), ":2: forwarding: must be one of \"redirect\", \"kernel\", not 0" },
		{ WITH("\"stages\":0"), ":2: stages: must be \"auto\" or a whole number from 1 to 2, not 0" },
		{ WITH("\"stages\":3"), ":2: stages: must be \"auto\" or a whole number from 1 to 2, not 3" },
		{ WITH("\"stages\":\"two\""),
		  ":2: stages: must be \"auto\" or a whole number from 1 to 2, not \"two\"" },
		{ WITH("\"xdp_mode\":\"generic\""),
		  ":2: xdp_mode: must be one of \"auto\", \"native\", \"skb\", \"none\", \"tc\", not \"generic\"" },
		{ WITH("\"forwarding\":\"kernel\",\"xdp_mode\":\"tc\""),
		  ": xdp_mode: \"tc\" sends packets past the kernel's forwarding, to which 'forwarding' \"kernel\" "
		  "leaves "
		  "them: set 'xdp_mode' to \"none\", or 'forwarding' to \"redirect\"" },
		{ "{\"forwarding\":\"kernel\",\"interfaces\":{\"inside\":[{\"name\":\"a\",\"xdp_mode\":\"tc\"}],"
		  "\"outside\":[]}}",
		  ":1: interfaces: a: 'xdp_mode' \"tc\" sends packets past the kernel's forwarding, to which "
		  "'forwarding' "
		  "\"kernel\" leaves them: set 'xdp_mode' to \"none\", or 'forwarding' to \"redirect\"" },
		{ WITH("\"xdp_dispatcher\":\"tcx\""),
		  ":2: xdp_dispatcher: must be one of \"none\", \"libxdp\", not \"tcx\"" },
		{ WITH("\"xdp_priority\":256"), ":2: xdp_priority: must be a whole number from 0 to 255, not 256" },
		{ WITH("\"unmatched\":\"accept\""),
		  ":2: unmatched: must be one of \"drop-private\", \"route\", \"drop\", \"strict\", not \"accept\"" },
		{ WITH("\"unsolicited_tcp\":\"reset\""),
		  ":2: unsolicited_tcp: must be one of \"drop\", \"answer\", not \"reset\"" },
		{ WITH("\"unsolicited_tcp\":true"),
		  ":2: unsolicited_tcp: must be one of \"drop\", \"answer\", not true" },
		{ WITH("\"on_exit\":true"), ":2: on_exit: must be one of \"keep\", \"detach\", not true" },
		{ WITH("\"answer_arp\":1"), ":2: answer_arp: must be true or false, not 1" },
		{ WITH("\"grant_retention\":\"1h\""),
		  ":2: grant_retention: must be a number of whole days such as \"180d\" or \"26w\", from 1d to "
		  "36500d, not \"1h\"" },
		{ WITH("\"audit_queries\":1"), ":2: audit_queries: must be true or false, not 1" },
		{ WITH("\"guard\":\"on\""), ":2: guard: must be true or false, not \"on\"" },
		{ WITH("\"hairpin\":\"true\""), ":2: hairpin: must be true or false, not \"true\"" },
		{ WITH("\"udp_inbound_refresh\":1"), ":2: udp_inbound_refresh: must be true or false, not 1" },
		{ WITH("\"control_socket\":\"\""),
		  ":2: control_socket: must be an absolute path of at most 107 octets, not \"\"" },
		{ WITH("\"control_socket\":\"agent.sock\""),
		  ":2: control_socket: must be an absolute path of at most 107 octets, not \"agent.sock\"" },
		{ WITH("\"control_socket\":\"/34567890/234567890/234567890/234567890/234567890/234567890/234567890/"
		       "234567890"
		       "/234567890/234567890/23456789\""),
		  ":2: control_socket: must be an absolute path of at most 107 octets, not "
		  "\"/34567890/234567890/234567890/234567890/234567890/23456789\"..." },
		{ WITH("\"pin_path\":7"), ":2: pin_path: must be an absolute path of at most 1023 octets, not 7" },
		{ WITH("\"state_dir\":null"),
		  ":2: state_dir: must be an absolute path of at most 1023 octets, not null" },
		{ WITH("\"metrics\":true"), ":2: metrics: must be an object" },
		{ WITH("\"metrics\":{\"listen\":\"localhost:9469\"}"),
		  ":2: metrics.listen: must be an IPv4 address and a port from 1 to 65535, such as "
		  "\"192.0.2.10:4739\", not "
		  "\"localhost:9469\"" },
		{ WITH("\"metrics\":{\"listen\":\"127.0.0.1:0\"}"),
		  ":2: metrics.listen: must be an IPv4 address and a port from 1 to 65535, such as "
		  "\"192.0.2.10:4739\", not "
		  "\"127.0.0.1:0\"" },
		{ WITH("\"bypass\":\"10.0.0.0/8\""), ":2: bypass: must be a list of prefixes" },
		{ WITH("\"bypass\":[\"10.0.0.0/8\",\n\"x\"]"),
		  ":3: bypass[1]: must be an IPv4 prefix such as \"10.0.0.0/18\", not \"x\"" },
	};

	expect_refused(rows, ARRAY_SIZE(rows));
}

Test(config_refused, ipfix)
{
	static const struct refused_row rows[] = {
		{ WITH("\"ipfix\":null"), ":2: ipfix: must be an object" },
		{ IPFIX(""), ":2: ipfix.collector: this key is missing" },
		{ IPFIX("\"domain_id\":1"), ":2: ipfix.collector: this key is missing" },
		{ IPFIX("\"collector\":\"192.0.2.10\""), ":2: ipfix.collector: must be an IPv4 address and a port from "
							 "1 to 65535, such as \"192.0.2.10:4739\", not "
							 "\"192.0.2.10\"" },
		{ IPFIX("\"collector\":\"192.0.2.10:0\""), ":2: ipfix.collector: must be an IPv4 address and a port "
							   "from 1 to 65535, such as \"192.0.2.10:4739\", not "
							   "\"192.0.2.10:0\"" },
		{ IPFIX("\"collector\":\"192.0.2.10:65536\""), ":2: ipfix.collector: must be an IPv4 address and a "
							       "port from 1 to 65535, such as \"192.0.2.10:4739\", not "
							       "\"192.0.2.10:65536\"" },
		{ IPFIX("\"collector\":[]"), ":2: ipfix.collector: must name a collector" },
		{ IPFIX("\"collector\":[\"1.2.3.4:1\",\n\"1.2.3.4\"]"),
		  ":3: ipfix.collector[1]: must be an IPv4 address and a "
		  "port from 1 to 65535, such as "
		  "\"192.0.2.10:4739\", not \"1.2.3.4\"" },
		{ IPFIX("\"collector\":[\"1.2.3.4:1\",\"tcp:1.2.3.4:1\",\n\"udp:1.2.3.4:1\"]"),
		  ":3: ipfix.collector[2]: is in this list already" },
		{ IPFIX("\"collector\":[\"1.2.3.4:1\",\"1.2.3.4:2\",\"1.2.3.4:3\",\"1.2.3.4:4\",\"1.2.3.4:5\","
			"\"1.2.3.4:6\",\"1.2.3.4:7\",\"1.2.3.4:8\",\n\"1.2.3.4:9\"]"),
		  ":3: ipfix.collector[8]: more than 8 collectors" },
		{ IPFIX(COLLECTOR ",\"source\":\"x\""), ":2: ipfix.source: must be an IPv4 address and a port from 0 "
							"to 65535, such as \"192.0.2.10:4739\", not \"x\"" },
		{ IPFIX(COLLECTOR ",\"domain_id\":-1"),
		  ":2: ipfix.domain_id: must be a whole number from 0 to 4294967295, not -1" },
		{ IPFIX(COLLECTOR ",\"domain_id\":4294967296"),
		  ":2: ipfix.domain_id: must be a whole number from 0 to 4294967295, not 4294967296" },
		{ IPFIX(COLLECTOR ",\"path_mtu\":127"),
		  ":2: ipfix.path_mtu: must be a whole number from 128 to 65535, not 127" },
		{ IPFIX(COLLECTOR ",\"path_mtu\":65536"),
		  ":2: ipfix.path_mtu: must be a whole number from 128 to 65535, not 65536" },
		{ IPFIX(COLLECTOR ",\"template_interval\":0"),
		  ":2: ipfix.template_interval: must be a whole number from 1 to 86400, not 0" },
		{ IPFIX(COLLECTOR ",\"template_interval\":86401"),
		  ":2: ipfix.template_interval: must be a whole number from 1 to 86400, not 86401" },
		{ IPFIX(COLLECTOR ",\"events\":\"quota\""), ":2: ipfix.events: must be a list of events" },
		{ IPFIX(COLLECTOR ",\"events\":[\"quota\",\n\"all\"]"),
		  ":3: ipfix.events[1]: must be one of \"quota\", \"ports\", \"sessions\", \"fragments\", "
		  "\"addresses\", \"portmaps\", \"blocks\", not \"all\"" },
		{ IPFIX(COLLECTOR ",\"events\":[1]"), ":2: ipfix.events[0]: must be one of \"quota\", \"ports\", "
						      "\"sessions\", \"fragments\", \"addresses\", "
						      "\"portmaps\", \"blocks\", not 1" },
		{ IPFIX(COLLECTOR ",\"transport\":\"tcp\""), ":2: ipfix.transport: unknown key" },
	};

	expect_refused(rows, ARRAY_SIZE(rows));
}
