/* SPDX-License-Identifier: BSD-2-Clause */
/* What is written is read back: the same configuration and, written again, the same text. */
#include <criterion/criterion.h>
#include <string.h>

#include "config/config.h"

static uint32_t state;

static uint32_t random_below(uint32_t n)
{
	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	return state % n;
}

static uint32_t pick(uint32_t a, uint32_t b, uint32_t c)
{
	return (uint32_t[]){ a, b, c }[random_below(3)];
}

/* Any valid configuration. */
static struct config *random_config(void)
{
	struct config *c = config_new();
	uint32_t n = random_below(20);

	for (uint32_t i = 0; i < n; i++) {
		uint8_t in_plen = (uint8_t)(17 + random_below(16)),
			out_plen = in_plen + (uint8_t)random_below(33U - in_plen);
		struct config_mapping *m;

		if (out_plen - in_plen > 15)
			out_plen = in_plen + 15;
		config_add_mapping(c, "", (struct prefix){ 0x0a000000 + (i << 16), in_plen },
				   (struct prefix){ 0xc0000000 + (i << 16), out_plen });
		m = &c->mappings[i];
		m->sessions_per_user = pick(0, 1, 65535);
		m->session_slots = pick(0, CONFIG_SLOTS_AUTO, 8U << random_below(9));
		m->drain = pick(0, 1, CONFIG_MAX_DRAIN);
		m->until = (int64_t)pick(0, 1, UINT32_MAX);
		m->ports = (struct config_ports){ .first_port = pick(0, 1, 4096), .order = (uint8_t)random_below(2) };
		if (!random_below(4))
			m->out = PREFIX_NONE;
		else if (in_plen == out_plen)
			m->inbound = (uint8_t)random_below(2);
		if (prefix_is_none(m->out) || m->inbound == INBOUND_OPEN || out_plen - in_plen > 14 || random_below(2))
			m->ports = (struct config_ports){ 0 };
		m->independence.given = !prefix_is_none(m->out) && m->inbound != INBOUND_OPEN && random_below(2);
		if (m->independence.given)
			m->independence =
				(struct config_independence){ true, (uint8_t)random_below(8), 0, pick(0, 1, 100) };
		m->independence.filtering = m->independence.mapping & (uint8_t)random_below(4);
		/* A block of 8 fits above the blocks of a few subscribers with 64 ports each. */
		m->growth.given = m->independence.given && in_plen + 4 >= out_plen && random_below(2);
		if (m->growth.given)
			m->growth = (struct config_growth){ true, pick(0, 8, 16), pick(0, 1, 32), pick(0, 1, 86400),
							    pick(0, 1, 86400) };
		if (m->growth.given)
			m->ports = (struct config_ports){ .ports_per_host = 64 };
		m->limits.given = !prefix_is_none(m->out) && m->inbound != INBOUND_OPEN && random_below(2);
		if (m->limits.given)
			m->limits = (struct config_limits){ true,
							    pick(0, 1, 65535),
							    pick(0, 1, 65535),
							    pick(0, 1, 65535),
							    pick(1, 2, 1000000),
							    pick(0, 1, 1000000) };
	}
	for (uint32_t i = 0; i < n; i++) {
		struct config_mapping *m = &c->mappings[i];

		m->n_spare = prefix_is_none(m->out) ? 0 : random_below(CONFIG_MAX_SPARE + 1);
		for (uint32_t k = 0; k < m->n_spare; k++)
			m->spare[k] =
				(struct prefix){ 0xe0000000 + (i << 16) + (k << 8), (uint8_t)(24 + random_below(9)) };
	}
	n = random_below(6);
	for (uint32_t i = 0; i < n; i++) {
		char name[IFNAMSIZ];

		snprintf(name, sizeof(name), "%s%u", random_below(2) ? "\"\\" : "v", random_below(4));
		config_add_interface(c, name, (uint8_t)(1 + random_below(3)));
	}
	n = random_below(4);
	c->bypass = calloc(n + 1, sizeof(*c->bypass));
	for (uint32_t i = 0; i < n; i++) {
		uint8_t plen = (uint8_t)random_below(33);

		c->bypass[c->n_bypass++] = (struct prefix){ (random_below(UINT32_MAX)) & prefix_mask(plen), plen };
	}
	c->sessions_per_user = 1 + random_below(65535);
	c->session_slots = pick(0, 8, 2048);
	c->reload_guard = pick(0, 1000, UINT32_MAX);
	c->overflow_sessions = pick(0, 16777216, random_below(16777216));
	/* Sessions on granted ports are beyond the slots. */
	for (size_t i = 0; !c->overflow_sessions && i < c->n_mappings; i++)
		c->mappings[i].growth = (struct config_growth){ 0 };
	for (int i = 0; i < N_TIMEOUTS; i++)
		c->timeouts[i] = 1 + random_below(604800);
	if (random_below(2)) {
		c->ipfix = (struct config_ipfix){
			.enabled = true,
			.n_collectors = 1 + random_below(MAX_COLLECTORS),
			.source = { pick(0, 1, UINT32_MAX), (uint16_t)pick(0, 1, 65535) },
			.domain_id = pick(0, 1, UINT32_MAX),
			.path_mtu = pick(128, 512, 65535),
			.template_interval = pick(1, 600, 86400),
			.events = (uint8_t)random_below(32),
		};
		for (uint32_t i = 0; i < c->ipfix.n_collectors; i++)
			c->ipfix.collectors[i] = (struct collector_endpoint){
				.at = { random_below(UINT32_MAX / 8) * 8 + i, (uint16_t)(1 + random_below(65535)) },
				.transport = random_below(2) ? IPFIX_TCP : IPFIX_UDP,
			};
	}
	c->fragments = (struct config_fragments){
		.max_parked = pick(0, 1, 65536),
		.max_bytes = pick(4096, 4097, 1U << 30),
		.timeout = pick(1, 2, 60),
		.per_subscriber = pick(1, 2, 65536),
	};
	c->forwarding = random_below(2);
	c->xdp_mode = random_below(3);
	c->xdp_dispatcher = random_below(2);
	c->xdp_priority = (uint8_t)random_below(256);
	c->stages = (uint8_t)random_below(3);
	c->unmatched = random_below(4);
	c->guard = random_below(2);
	c->audit_queries = random_below(2);
	c->grant_retention = random_below(2) ? 1 + random_below(36500) : 0;
	c->answer_arp = random_below(2);
	c->hairpin = random_below(2);
	c->udp_inbound_refresh = random_below(2);
	c->unsolicited_tcp = random_below(2);
	c->tcp_mss_clamp = pick(0, MSS_CLAMP_MTU, 536 + random_below(64960));
	c->quota_icmp_code = (uint8_t)random_below(16);
	c->sweep_interval = 1 + random_below(86400);
	free(c->state_dir);
	c->state_dir = strdup(random_below(2) ? "/a \"b\\\n\t\x7f\xc3\xa9" : "/");
	if (random_below(2)) {
		c->metrics_enabled = true;
		c->metrics_per_mapping = random_below(2);
		c->metrics_listen = (struct endpoint){ pick(0, 1, UINT32_MAX), (uint16_t)(1 + random_below(65535)) };
	}
	c->detach_on_exit = random_below(2);
	return c;
}

static bool same_prefix(struct prefix a, struct prefix b)
{
	return a.base == b.base && a.plen == b.plen;
}

static bool same_endpoint(struct endpoint a, struct endpoint b)
{
	return a.addr == b.addr && a.port == b.port;
}

static void expect_equal(const struct config *a, const struct config *b)
{
	cr_assert_eq(a->n_interfaces, b->n_interfaces);
	for (size_t i = 0; i < a->n_interfaces; i++) {
		const struct config_interface *other = config_find_interface(b, a->interfaces[i].name);

		cr_assert_not_null(other);
		cr_assert_eq(a->interfaces[i].roles, other->roles);
	}
	cr_assert_eq(a->n_mappings, b->n_mappings);
	for (size_t i = 0; i < a->n_mappings; i++) {
		cr_assert(same_prefix(a->mappings[i].in, b->mappings[i].in));
		cr_assert(same_prefix(a->mappings[i].out, b->mappings[i].out));
		cr_assert_eq(a->mappings[i].sessions_per_user, b->mappings[i].sessions_per_user);
		cr_assert_eq(a->mappings[i].session_slots, b->mappings[i].session_slots);
		cr_assert_eq(a->mappings[i].drain, b->mappings[i].drain);
		cr_assert_eq(a->mappings[i].until, b->mappings[i].until);
		cr_assert_eq(a->mappings[i].n_spare, b->mappings[i].n_spare);
		for (uint32_t k = 0; k < a->mappings[i].n_spare; k++)
			cr_assert(same_prefix(a->mappings[i].spare[k], b->mappings[i].spare[k]));
		cr_assert_eq(memcmp(&a->mappings[i].independence, &b->mappings[i].independence,
				    sizeof(a->mappings[i].independence)),
			     0);
	}
	cr_assert_eq(a->n_bypass, b->n_bypass);
	for (size_t i = 0; i < a->n_bypass; i++)
		cr_assert(same_prefix(a->bypass[i], b->bypass[i]));
	cr_assert_eq(a->sessions_per_user, b->sessions_per_user);
	cr_assert_eq(a->session_slots, b->session_slots);
	cr_assert_eq(a->overflow_sessions, b->overflow_sessions);
	for (int i = 0; i < N_TIMEOUTS; i++)
		cr_assert_eq(a->timeouts[i], b->timeouts[i]);
	cr_assert_eq(a->ipfix.enabled, b->ipfix.enabled);
	cr_assert_eq(a->ipfix.n_collectors, b->ipfix.n_collectors);
	for (uint32_t i = 0; i < a->ipfix.n_collectors; i++)
		cr_assert(collector_same(a->ipfix.collectors[i], b->ipfix.collectors[i]));
	cr_assert(same_endpoint(a->ipfix.source, b->ipfix.source));
	cr_assert_eq(a->ipfix.domain_id, b->ipfix.domain_id);
	cr_assert_eq(a->ipfix.path_mtu, b->ipfix.path_mtu);
	cr_assert_eq(a->ipfix.template_interval, b->ipfix.template_interval);
	cr_assert_eq(a->ipfix.events, b->ipfix.events);
	cr_assert_eq(a->fragments.max_parked, b->fragments.max_parked);
	cr_assert_eq(a->fragments.max_bytes, b->fragments.max_bytes);
	cr_assert_eq(a->fragments.timeout, b->fragments.timeout);
	cr_assert_eq(a->fragments.per_subscriber, b->fragments.per_subscriber);
	cr_assert_eq(a->forwarding, b->forwarding);
	cr_assert_eq(a->xdp_mode, b->xdp_mode);
	cr_assert_eq(a->xdp_dispatcher, b->xdp_dispatcher);
	cr_assert_eq(a->xdp_priority, b->xdp_priority);
	cr_assert_eq(a->stages, b->stages);
	cr_assert_eq(a->unmatched, b->unmatched);
	cr_assert_eq(a->guard, b->guard);
	cr_assert_eq(a->audit_queries, b->audit_queries);
	cr_assert_eq(a->grant_retention, b->grant_retention);
	cr_assert_eq(a->answer_arp, b->answer_arp);
	cr_assert_eq(a->hairpin, b->hairpin);
	cr_assert_eq(a->udp_inbound_refresh, b->udp_inbound_refresh);
	cr_assert_eq(a->unsolicited_tcp, b->unsolicited_tcp);
	cr_assert_eq(a->tcp_mss_clamp, b->tcp_mss_clamp);
	cr_assert_eq(a->quota_icmp_code, b->quota_icmp_code);
	cr_assert_eq(a->sweep_interval, b->sweep_interval);
	cr_assert_str_eq(a->control_socket, b->control_socket);
	cr_assert_str_eq(a->pin_path, b->pin_path);
	cr_assert_str_eq(a->state_dir, b->state_dir);
	cr_assert_eq(a->metrics_enabled, b->metrics_enabled);
	cr_assert_eq(a->metrics_per_mapping, b->metrics_per_mapping);
	cr_assert(same_endpoint(a->metrics_listen, b->metrics_listen));
	cr_assert_eq(a->detach_on_exit, b->detach_on_exit);
}

Test(config_write, any_configuration_is_read_back_as_it_was)
{
	for (uint32_t seed = 1; seed <= 500; seed++) {
		struct error err = { "" };

		state = seed * 2654435761U;

		_cleanup_config_ struct config *c = random_config(), *back = NULL;
		_cleanup_free_ char *text = config_to_json(c), *again = NULL;

		cr_assert_not_null(text);
		cr_assert_eq(config_parse(text, strlen(text), "seed", &back, &err), 0, "seed %u: %s\n%s", seed,
			     err.text, text);
		expect_equal(c, back);
		again = config_to_json(back);
		cr_assert_not_null(again);
		/* Not the same order: interfaces of both lists move to the front. */
		cr_assert_eq(strlen(text), strlen(again), "seed %u", seed);
		cr_assert_null(strchr(text, '\n'), "one line, as the control socket and the pinned map want it");
	}
}

Test(config_write, any_configuration_gives_the_programs_the_settings_of_its_keys)
{
	for (uint32_t seed = 1; seed <= 100; seed++) {
		struct settings s = { .hz = 250, .trace = 1 };

		state = seed * 2654435761U;

		_cleanup_config_ struct config *c = random_config();

		config_settings(c, &s);
		cr_assert_eq(s.unmatched, c->unmatched);
		cr_assert_eq(s.guard, c->guard);
		cr_assert_eq(s.answer_arp, c->answer_arp);
		cr_assert_eq(s.hairpin, c->hairpin);
		cr_assert_eq(s.tcp_mss_clamp, c->tcp_mss_clamp);
		cr_assert_eq(s.udp_inbound_refresh, c->udp_inbound_refresh);
		cr_assert_eq(s.unsolicited_tcp, c->unsolicited_tcp);
		cr_assert_eq(s.quota_icmp_code, c->quota_icmp_code);
		cr_assert_eq(s.hz, 250, "what the machine decides stays");
		cr_assert_eq(s.trace, 1);
	}
}
