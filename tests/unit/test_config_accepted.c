/* SPDX-License-Identifier: BSD-2-Clause */
/* What a configuration says is what is read from it. */
#include <criterion/criterion.h>
#include <string.h>

#include "config_fixture.h"

#define INTERFACES "\"interfaces\":{\"inside\":[\"eth1\"],\"outside\":[\"eth0\"]}"
#define WITH(keys) "{" INTERFACES ",\n" keys "}"

/* What the documents of other systems say: 33 subscribers an address; netmap order; blocks at a distance. */
Test(config_accepted, ports_of_mappings)
{
	_cleanup_config_ struct config *c = config_of(WITH(
		"\"mappings\":["
		"{\"in\":\"100.64.56.0/22\",\"out\":\"143.208.72.192/27\",\"subscribers_per_address\":33},"
		"{\"in\":\"100.64.40.0/22\",\"out\":\"179.106.165.192/27\",\"order\":\"netmap\",\"first_port\":1536,"
		"\"ports_per_host\":2000},"
		"{\"in\":\"100.65.0.0/22\",\"out\":\"198.0.2.0/27\",\"first_port\":1026,\"block_pitch\":2016,"
		"\"ports_per_host\":2014},"
		"{\"in\":\"100.66.0.0/24\",\"out\":\"198.0.3.0/30\",\"order\":\"sequential\"}]"));
	_cleanup_free_ char *json = config_to_json(c);
	struct port_block block;
	struct geometry g;

	cr_assert_eq(config_mapping_geometry(&c->mappings[0], &g), 0);
	cr_expect_eq(g.ratio, 33);
	cr_expect_eq(g.ports_per_host, 1954);
	block = mapping_forward(&g, 0x64403821);
	cr_expect_eq(block.out_addr, 0x8fd048c1);
	cr_expect_eq(block.port_lo, 1024);
	cr_assert_eq(config_mapping_geometry(&c->mappings[1], &g), 0);
	cr_expect_eq(g.ratio, 32);
	block = mapping_forward(&g, 0x64402821);
	cr_expect_eq(block.out_addr, 0xb36aa5c1);
	cr_expect_eq(block.port_lo, 3536);
	cr_expect_eq(block.port_hi, 5535);
	cr_assert_eq(config_mapping_geometry(&c->mappings[2], &g), 0);
	block = mapping_forward(&g, 0x64410001);
	cr_expect_eq(block.out_addr, 0xc6000200);
	cr_expect_eq(block.port_lo, 3042);
	cr_expect_eq(block.port_hi, 5055);
	cr_assert_eq(config_mapping_geometry(&c->mappings[3], &g), 0);
	cr_expect(mapping_is_plain(&g));
	/* Only the keys that were given are written. */
	cr_expect(strstr(json,
			 "{\"in\":\"100.64.56.0/22\",\"out\":\"143.208.72.192/27\",\"subscribers_per_address\":33}"));
	cr_expect(strstr(json, "{\"in\":\"100.66.0.0/24\",\"out\":\"198.0.3.0/30\"}"));
}

Test(config_accepted, interfaces_alone_bring_every_default)
{
	_cleanup_config_ struct config *c = config_of("{" INTERFACES "}");

	cr_expect_eq(c->n_interfaces, 2);
	cr_expect_str_eq(c->interfaces[0].name, "eth1");
	cr_expect_eq(c->interfaces[0].roles, DEVICE_INSIDE);
	cr_expect_str_eq(c->interfaces[1].name, "eth0");
	cr_expect_eq(c->interfaces[1].roles, DEVICE_OUTSIDE);
	cr_expect_eq(c->n_mappings, 0);
	cr_expect_eq(c->n_bypass, 0);
	cr_expect_eq(c->sessions_per_user, 1000);
	cr_expect_eq(c->session_slots, 0);
	cr_expect_eq(c->overflow_sessions, 65536);
	cr_expect_eq(c->timeouts[TIMEOUT_UDP], 300);
	cr_expect_eq(c->timeouts[TIMEOUT_TCP_ESTABLISHED], 7440);
	cr_expect_eq(c->timeouts[TIMEOUT_TCP_TRANSITORY], 240);
	cr_expect_eq(c->timeouts[TIMEOUT_ICMP], 60);
	cr_expect_not(c->ipfix.enabled);
	cr_expect_eq(c->ipfix.domain_id, 1);
	cr_expect_eq(c->ipfix.path_mtu, 512);
	cr_expect_eq(c->ipfix.template_interval, 600);
	cr_expect_eq(c->ipfix.events, IPFIX_QUOTA | IPFIX_PORTS);
	cr_expect_eq(c->fragments.max_parked, 2048);
	cr_expect_eq(c->fragments.max_bytes, 4194304);
	cr_expect_eq(c->fragments.timeout, 2);
	cr_expect_eq(c->fragments.per_subscriber, 64);
	cr_expect_eq(c->forwarding, FORWARDING_REDIRECT);
	cr_expect_eq(c->xdp_mode, XDP_MODE_AUTO);
	cr_expect_eq(c->xdp_dispatcher, DISPATCHER_NONE);
	cr_expect_eq(c->xdp_priority, 90);
	cr_expect_eq(c->stages, STAGES_AUTO);
	cr_expect_eq(c->unmatched, UNMATCHED_DROP_PRIVATE);
	cr_expect(c->guard);
	cr_expect(c->answer_arp);
	cr_expect(c->hairpin);
	cr_expect_not(c->udp_inbound_refresh);
	cr_expect_eq(c->unsolicited_tcp, UNSOLICITED_DROP);
	cr_expect_eq(c->tcp_mss_clamp, 0);
	cr_expect_eq(c->quota_icmp_code, 1);
	cr_expect_eq(c->sweep_interval, 5);
	cr_expect_eq(c->reload_guard, 0);
	cr_expect_str_eq(c->control_socket, "/run/detnat/agent.sock");
	cr_expect_str_eq(c->pin_path, "/sys/fs/bpf/detnat");
	cr_expect_str_eq(c->state_dir, "/var/lib/detnat");
	cr_expect_not(c->metrics_enabled);
	cr_expect_not(c->detach_on_exit);
}

Test(config_accepted, interfaces_with_their_own_ways_of_xdp)
{
	_cleanup_config_ struct config *c =
		config_of("{\"interfaces\":{\"inside\":[{\"name\":\"a\",\"xdp_dispatcher\":\"libxdp\"},\"b\"],"
			  "\"outside\":[{\"name\":\"b\",\"xdp_priority\":0,\"xdp_mode\":\"skb\"},"
			  "{\"name\":\"c\",\"xdp_mode\":\"tc\"}]},"
			  "\"xdp_priority\":255}");
	struct xdp_wish a = config_interface_xdp(config_find_interface(c, "a"), config_xdp(c)),
			b = config_interface_xdp(config_find_interface(c, "b"), config_xdp(c));

	cr_expect_eq(config_interface_mode(c, config_find_interface(c, "c")), XDP_MODE_TC);
	cr_expect_eq(a.mode, XDP_MODE_AUTO);
	cr_expect_eq(a.dispatcher, DISPATCHER_LIBXDP);
	cr_expect_eq(a.priority, 255);
	cr_expect_eq(b.mode, XDP_MODE_SKB);
	cr_expect_eq(b.dispatcher, DISPATCHER_NONE);
	cr_expect_eq(b.priority, 0);
}

Test(config_accepted, the_documented_example)
{
	_cleanup_config_ struct config *c = config_of(
		"{\"interfaces\": { \"inside\": [\"eth1\"], \"outside\": [\"eth0\"] },\n"
		"\"mappings\": [\n  { \"in\": \"10.0.0.0/18\",\n \"out\": \"1.1.1.1/30\" }\n],\n"
		"\"sessions_per_user\": 1000, \"session_slots\": \"auto\", \"overflow_sessions\": 65536,\n"
		"\"timeouts\": { \"udp\": 300, \"tcp_established\": 7440, \"tcp_transitory\": 240, \"icmp\": 60 },\n"
		"\"ipfix\": { \"collector\": \"192.0.2.10:4739\", \"source\": \"192.0.2.1:4739\", \"domain_id\": 1,\n"
		"\"path_mtu\": 512, \"template_interval\": 600, \"events\": [\"quota\", \"ports\"] },\n"
		"\"forwarding\": \"redirect\", \"xdp_mode\": \"auto\", \"xdp_dispatcher\": \"none\", \"xdp_priority\": "
		"90, \"stages\": \"auto\", \"unmatched\": "
		"\"drop-private\", "
		"\"bypass\": "
		"[],\n"
		"\"guard\": true, \"answer_arp\": true, \"hairpin\": true, \"tcp_mss_clamp\": 0, \"quota_icmp_code\": "
		"1,\n"
		"\"sweep_interval\": 5, \"control_socket\": \"/run/detnat/agent.sock\",\n"
		"\"pin_path\": \"/sys/fs/bpf/detnat\", \"state_dir\": \"/var/lib/detnat\",\n"
		"\"metrics\": { \"listen\": \"127.0.0.1:9469\" }, \"on_exit\": \"keep\"\n}\n");

	cr_expect_eq(c->n_mappings, 1);
	cr_expect_eq(c->mappings[0].in.base, 0x0a000000);
	cr_expect_eq(c->mappings[0].in.plen, 18);
	cr_expect_eq(c->mappings[0].out.base, 0x01010100, "masked to its length");
	cr_expect_eq(c->mappings[0].out.plen, 30);
	cr_expect_eq(c->mappings[0].line, 3);
	cr_expect_eq(c->mappings[0].in_line, 3);
	cr_expect_eq(c->mappings[0].out_line, 4);
	cr_expect_eq(c->beyond_line, 6);
	cr_expect(c->ipfix.enabled);
	cr_expect_eq(c->ipfix.collectors[0].at.addr, 0xc000020a);
	cr_expect_eq(c->ipfix.collectors[0].at.port, 4739);
	cr_expect_eq(c->ipfix.source.addr, 0xc0000201);
	cr_expect(c->metrics_enabled);
	cr_expect_eq(c->metrics_listen.addr, 0x7f000001);
	cr_expect_eq(c->metrics_listen.port, 9469);
}

Test(config_accepted, suspects)
{
	_cleanup_config_ struct config *none = config_of(WITH("\"answer_arp\":true"));
	_cleanup_config_ struct config *empty = config_of(WITH("\"suspects\":{}"));
	_cleanup_config_ struct config *all =
		config_of(WITH("\"suspects\":{\"half_open\":1,\"destinations\":1000000000,\"rate\":0,\"inbound\":7}"));

	cr_expect_not(none->suspects.enabled);
	cr_expect(empty->suspects.enabled && !empty->suspects.half_open && !empty->suspects.destinations &&
		  !empty->suspects.rate);
	cr_expect_eq(all->suspects.half_open, 1);
	cr_expect_eq(all->suspects.destinations, 1000000000);
	cr_expect_eq(all->suspects.rate, 0);
	cr_expect(all->suspects.inbound == 7 && !empty->suspects.inbound);
}

Test(config_accepted, attack)
{
	_cleanup_config_ struct config *none = config_of(WITH("\"hairpin\":true"));
	_cleanup_config_ struct config *least = config_of(WITH("\"attack\":{\"packets_per_second\":1}"));
	_cleanup_config_ struct config *all = config_of(
		WITH("\"attack\":{\"packets_per_second\":4294967295,\"hold\":86400,\"exec\":\"/usr/lib/x\"}"));
	_cleanup_config_ struct config *again = NULL;
	_cleanup_free_ char *json = config_to_json(all);

	cr_expect_not(none->attack.enabled);
	cr_expect(least->attack.enabled);
	cr_expect_eq(least->attack.packets_per_second, 1);
	cr_expect_eq(least->attack.hold, 300);
	cr_expect_str_eq(least->attack.exec, "");
	again = config_of(json);
	cr_expect(again->attack.enabled);
	cr_expect_eq(again->attack.packets_per_second, 4294967295);
	cr_expect_eq(again->attack.hold, 86400);
	cr_expect_str_eq(again->attack.exec, "/usr/lib/x");
	cr_expect_eq(config_same(all, again), 1);
	cr_expect_eq(config_same(all, least), 0);
}

Test(config_accepted, every_other_value_of_every_word)
{
	_cleanup_config_ struct config *c = config_of(WITH(
		"\"forwarding\":\"kernel\",\"xdp_mode\":\"skb\",\"unmatched\":\"drop\",\"guard\":false,\"answer_arp\":"
		"false,"
		"\"audit_queries\":true,\"grant_retention\":\"2w\",\"hairpin\":false,\"tcp_mss_clamp\":\"mtu\",\"on_"
		"exit\":\"detach\",\"session_"
		"slots\":2048,"
		"\"unsolicited_tcp\":\"answer\","
		"\"ipfix\":{\"collector\":\"192.0.2.10:1\",\"events\":[\"fragments\",\"sessions\",\"sessions\"]}"));
	_cleanup_config_ struct config *d =
		config_of(WITH("\"xdp_mode\":\"native\",\"xdp_dispatcher\":\"libxdp\",\"xdp_priority\":0,\"stages\":2,"
			       "\"unmatched\":\"route\",\"unsolicited_tcp\":\"drop\","
			       "\"tcp_mss_clamp\":1360,\"metrics\":{},"
			       "\"ipfix\":{\"collector\":\"192.0.2.10:1\",\"source\":\"0.0.0.0:4739\",\"events\":[]}"));

	cr_expect_eq(c->forwarding, FORWARDING_KERNEL);
	cr_expect_eq(c->xdp_mode, XDP_MODE_SKB);
	cr_expect_eq(c->unmatched, UNMATCHED_DROP);
	cr_expect_not(c->guard);
	cr_expect(c->audit_queries);
	cr_expect_eq(c->grant_retention, 14);
	cr_expect_eq(d->grant_retention, 0);
	cr_expect_not(d->audit_queries);
	cr_expect_not(c->answer_arp);
	cr_expect_not(c->hairpin);
	cr_expect_eq(c->tcp_mss_clamp, MSS_CLAMP_MTU);
	cr_expect_eq(c->unsolicited_tcp, UNSOLICITED_ANSWER);
	cr_expect(c->detach_on_exit);
	cr_expect_eq(c->session_slots, 2048);
	cr_expect_eq(c->ipfix.events, IPFIX_FRAGMENTS | IPFIX_SESSIONS);
	cr_expect_eq(c->ipfix.source.addr, 0);
	cr_expect_eq(c->ipfix.source.port, 0);
	cr_expect_eq(d->xdp_mode, XDP_MODE_NATIVE);
	cr_expect_eq(d->xdp_dispatcher, DISPATCHER_LIBXDP);
	cr_expect_eq(d->xdp_priority, 0);
	cr_expect_eq(d->stages, 2);
	cr_expect_eq(d->unmatched, UNMATCHED_ROUTE);
	cr_expect_eq(d->unsolicited_tcp, UNSOLICITED_DROP);
	cr_expect_eq(d->tcp_mss_clamp, 1360);
	cr_expect_eq(d->ipfix.events, 0);
	cr_expect_eq(d->ipfix.source.port, 4739);
	cr_expect(d->metrics_enabled, "an empty object takes the default address");
	cr_expect_eq(d->metrics_listen.port, 9469);
}

Test(config_accepted, values_at_the_ends_of_their_ranges)
{
	static const char *const rows[] = {
		"\"sessions_per_user\":1",
		"\"sessions_per_user\":65535",
		"\"sessions_per_user\":1e3",
		"\"sessions_per_user\":10.0",
		"\"session_slots\":8",
		"\"session_slots\":2048",
		"\"overflow_sessions\":0",
		"\"overflow_sessions\":-0",
		"\"overflow_sessions\":16777216",
		"\"timeouts\":{}",
		"\"timeouts\":{\"udp\":1}",
		"\"timeouts\":{\"udp\":604800}",
		"\"fragments\":{}",
		"\"fragments\":{\"max_parked\":0,\"max_bytes\":4096,\"timeout\":1,\"per_subscriber\":1}",
		"\"fragments\":{\"max_parked\":65536,\"max_bytes\":1073741824,\"timeout\":60,\"per_subscriber\":65536}",
		"\"quota_icmp_code\":0",
		"\"quota_icmp_code\":15",
		"\"sweep_interval\":1",
		"\"sweep_interval\":86400",
		"\"tcp_mss_clamp\":536",
		"\"tcp_mss_clamp\":65495",
		"\"bypass\":[\"0.0.0.0/0\"]",
		"\"mappings\":[]",
		"\"ipfix\":{\"collector\":\"1.2.3.4:1\",\"domain_id\":0,\"path_mtu\":128,\"template_interval\":1}",
		"\"ipfix\":{\"collector\":\"1.2.3.4:65535\",\"domain_id\":4294967295,\"path_mtu\":65535,"
		"\"template_interval\":86400}",
		"\"control_socket\":\"/34567890/234567890/234567890/234567890/234567890/234567890/234567890/234567890"
		"/234567890/234567890/2345678\"",
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char text[512];

		snprintf(text, sizeof(text), WITH("%s"), rows[i]);
		config_free(config_of(text));
	}
}

Test(config_accepted, an_interface_in_both_lists_has_both_roles)
{
	_cleanup_config_ struct config *c =
		config_of("{\"interfaces\":{\n\"outside\":[\"x\",\n\"stick\"],\n\"inside\":[\n\"a\",\n\"stick\"]}}");

	cr_expect_eq(c->n_interfaces, 3);
	cr_expect_eq(config_find_interface(c, "stick")->roles, DEVICE_INSIDE | DEVICE_OUTSIDE);
	cr_expect_eq(config_find_interface(c, "stick")->line, 6, "the line in `inside`: %u",
		     config_find_interface(c, "stick")->line);
	cr_expect_eq(config_find_interface(c, "stick")->position, 1);
	cr_expect_eq(config_find_interface(c, "x")->roles, DEVICE_OUTSIDE);
	cr_expect_eq(config_find_interface(c, "x")->line, 2);
	cr_expect_eq(config_find_interface(c, "a")->roles, DEVICE_INSIDE);
	cr_expect_null(config_find_interface(c, "b"));
	config_free(config_of("{\"interfaces\":{\"inside\":[],\"outside\":[]}}"));
}

Test(config_accepted, slots_follow_the_ports_of_a_host)
{
	static const struct {
		const char *out, *common, *own;
		uint32_t slots;
	} rows[] = {
		{ "1.1.0.0/16", "\"auto\"", NULL, 1024 }, /* 64512 ports */
		{ "1.1.1.0/22", "\"auto\"", NULL, 1024 }, /* 1008 */
		{ "1.1.1.0/23", "\"auto\"", NULL, 1024 }, /* 504: 1008 is not above 1024 */
		{ "1.1.1.0/24", "\"auto\"", NULL, 512 },  /* 252 */
		{ "1.1.1.0/25", "\"auto\"", NULL, 256 },  /* 126 */
		{ "1.1.1.0/26", "\"auto\"", NULL, 128 },  /* 63 */
		{ "1.1.1.0/31", "\"auto\"", NULL, 128 },  /* 1 */
		{ "1.1.1.0/25", "8", NULL, 8 },		  { "1.1.1.0/25", "8", "64", 64 },
		{ "1.1.1.0/25", "8", "\"auto\"", 256 },	  { "1.1.1.0/25", "\"auto\"", "2048", 2048 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char text[512];

		snprintf(text, sizeof(text),
			 WITH("\"session_slots\":%s,\"mappings\":[{\"in\":\"10.0.0.0/16\",\"out\":\"%s\"%s%s}]"),
			 rows[i].common, rows[i].out, rows[i].own ? ",\"session_slots\":" : "",
			 rows[i].own ? rows[i].own : "");
		_cleanup_config_ struct config *c = config_of(text);

		cr_expect_eq(config_mapping_slots(c, &c->mappings[0]), rows[i].slots, "row %zu: %u", i,
			     config_mapping_slots(c, &c->mappings[0]));
	}
}

Test(config_accepted, a_mapping_has_the_common_quota_or_its_own)
{
	_cleanup_config_ struct config *c =
		config_of(WITH("\"sessions_per_user\":77,\"mappings\":[{\"in\":\"10.0.0.0/16\",\"out\":\"1.1.1.0/24\"},"
			       "{\"in\":\"10.1.0.0/16\",\"out\":\"1.1.2.0/24\",\"sessions_per_user\":5}]"));

	cr_expect_eq(config_mapping_quota(c, &c->mappings[0]), 77);
	cr_expect_eq(config_mapping_quota(c, &c->mappings[1]), 5);
}

Test(config_accepted, neighbours_do_not_overlap)
{
	config_free(config_of(WITH(
		"\"mappings\":[{\"in\":\"10.0.0.0/24\",\"out\":\"1.1.1.0/28\"},"
		"{\"in\":\"10.0.1.0/24\",\"out\":\"1.1.1.16/28\"},{\"in\":\"10.0.2.0/24\",\"out\":\"10.0.3.0/28\"}]")));
}

Test(config_accepted, a_mapping_has_its_own_independence_or_the_configurations)
{
	static const char text[] = WITH(
		"\"endpoint_independent\":{\"mapping\":[\"udp\",\"tcp\"],\"filtering\":[\"udp\"],\"inbound_sessions\":"
		"40},"
		"\"mappings\":[{\"in\":\"10.0.0.0/24\",\"out\":\"1.1.1.1/32\"},"
		"{\"in\":\"10.0.1.0/24\",\"out\":\"1.1.1.2/32\",\"endpoint_independent\":{\"mapping\":[\"icmp\"]}},"
		"{\"in\":\"10.0.2.0/24\",\"out\":\"1.1.1.3/32\",\"endpoint_independent\":{}}]");
	struct config_independence i;
	struct config *c;
	struct error err;

	cr_assert_eq(config_parse(text, strlen(text), "FILE", &c, &err), 0, "%s", err.text);
	i = config_mapping_independence(c, &c->mappings[0]);
	cr_expect_eq(i.mapping, BINDING_UDP | BINDING_TCP);
	cr_expect_eq(i.filtering, BINDING_UDP);
	cr_expect_eq(i.inbound_sessions, 40);
	i = config_mapping_independence(c, &c->mappings[1]);
	cr_expect_eq(i.mapping, BINDING_ICMP);
	cr_expect_eq(i.filtering, 0);
	cr_expect_eq(config_mapping_independence(c, &c->mappings[2]).mapping, 0);
	c->independence = (struct config_independence){ 0 };
	cr_expect_eq(config_mapping_independence(c, &c->mappings[0]).inbound_sessions, CONFIG_INBOUND_SESSIONS);
	config_free(c);
}

Test(config_accepted, growth_has_defaults_and_shares_addresses_by_their_number)
{
	_cleanup_config_ struct config *c = config_of(
		WITH("\"mappings\":[{\"in\":\"100.64.0.0/18\",\"out\":\"203.0.113.0/25\",\"ports_per_host\":448,"
		     "\"growth\":{}},{\"in\":\"10.0.0.0/24\",\"out\":\"1.1.1.1/32\",\"ports_per_host\":100,"
		     "\"growth\":{\"block\":8,\"max_blocks\":32,\"idle\":1,\"rest\":86400}},"
		     "{\"in\":\"10.0.1.0/24\",\"out\":\"1.1.1.2/32\",\"ports_per_host\":100}]"));
	struct config_growth g = config_mapping_growth(&c->mappings[0]);
	struct geometry geo;

	cr_expect(g.given && g.block == 128 && g.max_blocks == 4 && g.idle == 300 && g.rest == 120);
	cr_assert_eq(config_mapping_geometry(&c->mappings[0], &geo), 0);
	cr_expect_eq(geo.ratio, 128);
	cr_expect_eq(growth_ports(&geo), 7168);
	g = config_mapping_growth(&c->mappings[1]);
	cr_expect(g.block == 8 && g.max_blocks == 32 && g.idle == 1 && g.rest == 86400);
	cr_expect_not(config_mapping_growth(&c->mappings[2]).given);
	cr_assert_eq(config_mapping_geometry(&c->mappings[2], &geo), 0);
	cr_expect_eq(geo.ratio, 645);
}

Test(config_accepted, spare_addresses_and_an_end)
{
	_cleanup_config_ struct config *c = config_of(
		WITH("\"reload_guard\":1000,\"mappings\":[{\"in\":\"10.0.0.0/24\",\"out\":\"1.1.1.0/30\",\"spare\":"
		     "[\"1.1.2.0/30\",\"1.1.3.7/32\"]},"
		     "{\"in\":\"10.0.0.0/26\",\"out\":\"1.1.2.1/32\",\"until\":\"2026-12-01T00:00:00+01:00\"}]"));

	cr_expect_eq(c->reload_guard, 1000);
	cr_expect_eq(c->mappings[0].n_spare, 2);
	cr_expect_eq(c->mappings[0].spare[1].base, 0x01010307);
	cr_expect_eq(c->mappings[0].spare[1].plen, 32);
	cr_expect_eq(c->mappings[0].until, 0);
	cr_expect_eq(c->mappings[1].until, 1796079600, "%ld", (long)c->mappings[1].until);
}

Test(config_accepted, limits_are_none_where_they_are_0_or_left_out)
{
	_cleanup_config_ struct config *c = config_of(
		WITH("\"mappings\":[{\"in\":\"10.0.0.0/24\",\"out\":\"1.1.0.0/24\",\"limits\":{\"tcp\":700,\"udp\":0,"
		     "\"new_per_second\":100,\"new_burst\":400}},{\"in\":\"10.0.1.0/24\",\"out\":\"1.1.1.0/24\","
		     "\"limits\":{\"new_per_second\":300}},{\"in\":\"10.0.2.0/24\",\"out\":\"1.1.2.0/24\","
		     "\"limits\":{}}]"));
	struct limit_layout l = config_mapping_limits(&c->mappings[0]);

	cr_expect(l.sessions[LIMIT_TCP] == 700 && !l.sessions[LIMIT_UDP] && !l.sessions[LIMIT_ICMP]);
	cr_expect(l.interval_ns == 10000000 && l.burst == 400 && l.rate == 100, "%u ns, %u, %u a second", l.interval_ns,
		  l.burst, l.rate);
	l = config_mapping_limits(&c->mappings[1]);
	cr_expect(l.burst == 300 && l.rate == 300, "the burst is the rate");
	l = config_mapping_limits(&c->mappings[2]);
	cr_expect_not(limit_layout_any(&l));
}
