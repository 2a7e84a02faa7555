/* SPDX-License-Identifier: BSD-2-Clause */
/* Every key of the configuration, in the order in which they are written. */
#include "config/fields.h"

#define MEMBER(struct_name, member) .offset = offsetof(struct_name, member), .size = sizeof(((struct_name *)0)->member)
#define SETTING(member)		    .setting = { offsetof(struct settings, member), sizeof(((struct settings *)0)->member) }
#define TABLE(array)		    ((struct fields){ array, ARRAY_SIZE(array) })

/* Longest path of a Unix socket, without the NUL. */
#define MAX_SOCKET_PATH 107U
/* Leaves room for the names that the agent appends. */
#define MAX_DIRECTORY_PATH 1023U

#define MIN_SLOTS    8U
#define MAX_SLOTS    2048U
#define MAX_TIMEOUT  604800U
#define MAX_INTERVAL 86400U
#define MAX_SUSPECT  1000000000U
#define MAX_BEYOND   (16U << 20)

#define MAX_PARKED	 65536U
#define MAX_PARKED_BYTES (1U << 30)
#define MAX_PARKED_TIME	 60U

#define MAX_AGE		  60U
#define MAX_DAYS	  36500U
#define MAX_PASS_INTERVAL 60U

/* The size that every host must accept (RFC 879), and the longest IPv4 packet less its headers. */
#define MIN_MSS 536U
#define MAX_MSS 65495U

const struct word forwarding_words[] = { { "redirect", FORWARDING_REDIRECT }, { "kernel", FORWARDING_KERNEL }, {} };
const struct word ipfix_event_words[] = {
	{ "quota", IPFIX_QUOTA },	  { "ports", IPFIX_PORTS },
	{ "sessions", IPFIX_SESSIONS },	  { "fragments", IPFIX_FRAGMENTS },
	{ "addresses", IPFIX_ADDRESSES }, { "portmaps", IPFIX_PORTMAPS },
	{ "blocks", IPFIX_BLOCKS },	  {},
};

static const struct word facility_words[] = {
	{ "daemon", 3 },  { "local0", 16 }, { "local1", 17 }, { "local2", 18 }, { "local3", 19 },
	{ "local4", 20 }, { "local5", 21 }, { "local6", 22 }, { "local7", 23 }, {},
};

const struct word xdp_mode_words[] = {
	{ "auto", XDP_MODE_AUTO }, { "native", XDP_MODE_NATIVE }, { "skb", XDP_MODE_SKB },
	{ "none", XDP_MODE_NONE }, { "tc", XDP_MODE_TC },	  {},
};
static const struct word dispatcher_words[] = { { "none", DISPATCHER_NONE }, { "libxdp", DISPATCHER_LIBXDP }, {} };
const struct word unmatched_words[] = {
	{ "drop-private", UNMATCHED_DROP_PRIVATE },
	{ "route", UNMATCHED_ROUTE },
	{ "drop", UNMATCHED_DROP },
	{ "strict", UNMATCHED_STRICT },
	{},
};
static const struct word unsolicited_words[] = {
	{ "drop", UNSOLICITED_DROP },
	{ "answer", UNSOLICITED_ANSWER },
	{},
};
static const struct word on_exit_words[] = { { "keep", false }, { "detach", true }, {} };

static const struct field interfaces_table[] = {
	{ "inside", &field_interfaces, .required = true, .min = DEVICE_INSIDE },
	{ "outside", &field_interfaces, .required = true, .min = DEVICE_OUTSIDE },
};
const struct fields config_interfaces_fields = TABLE(interfaces_table);

static const struct field tenant_table[] = {
	{ "name", &field_label, MEMBER(struct config_tenant, name), .required = true },
	{ "id", &field_quota, MEMBER(struct config_tenant, id), .min = 1, .max = CONFIG_MAX_TENANTS },
	{ "interfaces", &field_tenant_interfaces, .required = true, .fields = &config_interfaces_fields },
	{ "vrf", &field_vrf, MEMBER(struct config_tenant, vrf) },
};
const struct fields config_tenant_fields = TABLE(tenant_table);

static const struct field interface_table[] = {
	{ "name", &field_interface, MEMBER(struct config_interface, name), .required = true },
	{ "xdp_mode", &field_own_word, MEMBER(struct config_interface, xdp_mode), .words = xdp_mode_words },
	{ "xdp_dispatcher", &field_own_word, MEMBER(struct config_interface, xdp_dispatcher),
	  .words = dispatcher_words },
	{ "xdp_priority", &field_own_number, MEMBER(struct config_interface, xdp_priority), .max = UINT8_MAX },
};
const struct fields config_interface_fields = TABLE(interface_table);

static const struct field timeouts_table[] = {
#define X(constant, key, seconds) \
	{ #key, &field_number, constant * sizeof(uint32_t), sizeof(uint32_t), .min = 1, .max = MAX_TIMEOUT },
	TIMEOUTS(X)
#undef X
};
static const struct fields timeouts_fields = TABLE(timeouts_table);

static const struct field ipfix_table[] = {
	{ "collector", &field_collectors, .offset = 0, .required = true, .min = 1 },
	{ "source", &field_source, MEMBER(struct config_ipfix, source) },
	{ "domain_id", &field_number, MEMBER(struct config_ipfix, domain_id), .max = UINT32_MAX },
	{ "path_mtu", &field_number, MEMBER(struct config_ipfix, path_mtu), .min = 128, .max = UINT16_MAX },
	{ "template_interval", &field_number, MEMBER(struct config_ipfix, template_interval), .min = 1,
	  .max = MAX_INTERVAL },
	{ "events", &field_events, MEMBER(struct config_ipfix, events), .words = ipfix_event_words },
};
static const struct fields ipfix_fields = TABLE(ipfix_table);

static const struct field syslog_table[] = {
	{ "to", &field_syslog, .offset = 0, .required = true, .min = 1 },
	{ "events", &field_events, MEMBER(struct config_syslog, events), .words = notice_words },
	{ "facility", &field_word, MEMBER(struct config_syslog, facility), .words = facility_words },
};
static const struct fields syslog_fields = TABLE(syslog_table);

static const struct field fragments_table[] = {
	{ "max_parked", &field_number, MEMBER(struct config_fragments, max_parked), .max = MAX_PARKED },
	{ "max_bytes", &field_number, MEMBER(struct config_fragments, max_bytes), .min = 4096,
	  .max = MAX_PARKED_BYTES },
	{ "timeout", &field_number, MEMBER(struct config_fragments, timeout), .min = 1, .max = MAX_PARKED_TIME },
	{ "per_subscriber", &field_number, MEMBER(struct config_fragments, per_subscriber), .min = 1,
	  .max = MAX_PARKED },
};
static const struct fields fragments_fields = TABLE(fragments_table);

static const struct field pcp_lifetime_table[] = {
	{ "min", &field_number, MEMBER(struct config_pcp, lifetime_min), .min = 1, .max = MAX_TIMEOUT },
	{ "max", &field_number, MEMBER(struct config_pcp, lifetime_max), .min = 1, .max = MAX_TIMEOUT },
};
static const struct fields pcp_lifetime_fields = TABLE(pcp_lifetime_table);

static const struct field pcp_table[] = {
	{ "listen", &field_pcp_listen, .offset = 0, .required = true },
	{ "mappings", &field_pcp_mappings, .offset = 0 },
	{ "max_per_subscriber", &field_number, MEMBER(struct config_pcp, max_per_subscriber), .min = 1,
	  .max = PCP_MAX_PER_SUBSCRIBER },
	{ "max_leases", &field_auto, MEMBER(struct config_pcp, max_leases), .min = 1, .max = MAX_LEASES },
	{ "lifetime", &field_object, .fields = &pcp_lifetime_fields, .enabled = -1 },
	{ "third_party", &field_pcp_third_party, .offset = 0 },
	{ "announce", &field_bool, MEMBER(struct config_pcp, announce) },
	{ "confirm_neighbours", &field_bool, MEMBER(struct config_pcp, confirm_neighbours) },
};
static const struct fields pcp_fields = TABLE(pcp_table);

static const struct field replication_table[] = {
	{ "listen", &field_endpoint, MEMBER(struct config_replication, listen), .required = true, .min = 1 },
	{ "peers", &field_peers, .offset = 0, .required = true },
	{ "key_file", &field_key_file, MEMBER(struct config_replication, key_file), .required = true },
	{ "min_age", &field_number, MEMBER(struct config_replication, min_age), .max = MAX_AGE },
	{ "interval", &field_number, MEMBER(struct config_replication, interval), .min = 1, .max = MAX_PASS_INTERVAL },
	{ "mappings", &field_owned_mappings, .offset = 0 },
};
static const struct fields replication_fields = TABLE(replication_table);

const struct word lease_source_words[] = {
	{ "radius", SOURCE_RADIUS },	   { "kea-csv", SOURCE_KEA },	      { "dnsmasq", SOURCE_DNSMASQ },
	{ "isc-dhcpd", SOURCE_ISC_DHCPD }, { "accel-ppp", SOURCE_ACCEL_PPP }, {},
};
static const struct word lease_mode_words[] = { { "active", false }, { "passive", true }, {} };

static const struct field client_table[] = {
	{ "prefix", &field_prefix, MEMBER(struct config_radius_client, from), .required = true },
	{ "secret_file", &field_optional_path, MEMBER(struct config_radius_client, secret_file), .required = true },
};
static const struct fields client_fields = TABLE(client_table);

static const struct field lease_table[] = {
	{ "type", &field_word, MEMBER(struct config_lease_source, type), .required = true,
	  .words = lease_source_words },
	{ "tenant", &field_label, MEMBER(struct config_lease_source, tenant) },
	{ "listen", &field_source, MEMBER(struct config_lease_source, listen), .min = 1 },
	{ "secret_file", &field_optional_path, MEMBER(struct config_lease_source, secret_file) },
	{ "clients", &field_clients, .offset = 0, .fields = &client_fields },
	{ "forward", &field_source, MEMBER(struct config_lease_source, forward), .min = 1 },
	{ "forward_secret_file", &field_optional_path, MEMBER(struct config_lease_source, forward_secret_file) },
	{ "mode", &field_choice, MEMBER(struct config_lease_source, passive), .words = lease_mode_words },
	{ "path", &field_optional_path, MEMBER(struct config_lease_source, path) },
};
const struct fields config_lease_fields = TABLE(lease_table);

static const struct field attack_table[] = {
	{ "packets_per_second", &field_number, MEMBER(struct config_attack, packets_per_second), .required = true,
	  .min = 1, .max = UINT32_MAX },
	{ "hold", &field_number, MEMBER(struct config_attack, hold), .min = 1, .max = MAX_INTERVAL },
	{ "exec", &field_optional_path, MEMBER(struct config_attack, exec) },
};
static const struct fields attack_fields = TABLE(attack_table);

static const struct field suspects_table[] = {
	{ "half_open", &field_number, MEMBER(struct config_suspects, half_open), .max = MAX_SUSPECT },
	{ "destinations", &field_number, MEMBER(struct config_suspects, destinations), .max = MAX_SUSPECT },
	{ "rate", &field_number, MEMBER(struct config_suspects, rate), .max = MAX_SUSPECT },
	{ "inbound", &field_number, MEMBER(struct config_suspects, inbound), .max = MAX_SUSPECT },
};
static const struct fields suspects_fields = TABLE(suspects_table);

static const struct field metrics_table[] = {
	{ "listen", &field_endpoint, MEMBER(struct config, metrics_listen), .min = 1 },
	{ "per_mapping", &field_bool, MEMBER(struct config, metrics_per_mapping) },
};
static const struct fields metrics_fields = TABLE(metrics_table);

static const struct word filtering_words[] = { { "udp", BINDING_UDP }, { "tcp", BINDING_TCP }, {} };

static const struct field independence_table[] = {
	{ "mapping", &field_protocols, MEMBER(struct config_independence, mapping), .words = binding_words },
	{ "filtering", &field_protocols, MEMBER(struct config_independence, filtering), .words = filtering_words },
	{ "inbound_sessions", &field_quota, MEMBER(struct config_independence, inbound_sessions), .min = 1,
	  .max = 100 },
};
static const struct fields independence_fields = TABLE(independence_table);

static const struct field growth_table[] = {
	{ "block", &field_quota, MEMBER(struct config_growth, block), .min = GROWTH_MIN_BLOCK,
	  .max = GROWTH_MAX_BLOCK },
	{ "max_blocks", &field_quota, MEMBER(struct config_growth, max_blocks), .min = 1, .max = GROWTH_MAX_BLOCKS },
	{ "idle", &field_quota, MEMBER(struct config_growth, idle), .min = 1, .max = MAX_INTERVAL },
	{ "rest", &field_quota, MEMBER(struct config_growth, rest), .min = 1, .max = MAX_INTERVAL },
};
static const struct fields growth_fields = TABLE(growth_table);

static const struct field limits_table[] = {
	{ "tcp", &field_quota, MEMBER(struct config_limits, tcp), .max = UINT16_MAX },
	{ "udp", &field_quota, MEMBER(struct config_limits, udp), .max = UINT16_MAX },
	{ "icmp", &field_quota, MEMBER(struct config_limits, icmp), .max = UINT16_MAX },
	{ "new_per_second", &field_quota, MEMBER(struct config_limits, new_per_second), .max = LIMIT_MAX_RATE },
	{ "new_burst", &field_quota, MEMBER(struct config_limits, new_burst), .max = LIMIT_MAX_BURST },
};
static const struct fields limits_fields = TABLE(limits_table);

static const struct field mapping_table[] = {
	{ "name", &field_label, MEMBER(struct config_mapping, name) },
	{ "tenant", &field_label, MEMBER(struct config_mapping, tenant) },
	{ "in", &field_in, MEMBER(struct config_mapping, in), .required = true },
	{ "out", &field_out, MEMBER(struct config_mapping, out), .required = true },
	{ "exclude", &field_exclude, .offset = 0 },
	{ "subscriber_plen", &field_quota, MEMBER(struct config_mapping, six.subscriber_plen),
	  .min = SUBSCRIBER_PLEN_MIN, .max = SUBSCRIBER_PLEN_MAX },
	{ "nat64_prefix", &field_nat64, MEMBER(struct config_mapping, six) },
	{ "hosts_per_subscriber", &field_quota, MEMBER(struct config_mapping, six.hosts), .min = 1, .max = HOSTS_MAX },
	{ "lowest_ipv6_mtu", &field_quota, MEMBER(struct config_mapping, six.lowest_mtu), .min = LOWEST_IPV6_MTU,
	  .max = LOWEST_IPV6_MTU_MAX },
	{ "subscribers_per_address", &field_quota, MEMBER(struct config_mapping, ports.subscribers_per_address),
	  .min = 1, .max = MAPPING_MAX_RATIO },
	{ "ports_per_host", &field_quota, MEMBER(struct config_mapping, ports.ports_per_host), .min = 1,
	  .max = MAPPING_MAX_BLOCK },
	{ "first_port", &field_first_port, MEMBER(struct config_mapping, ports.first_port), .max = UINT16_MAX },
	{ "block_pitch", &field_quota, MEMBER(struct config_mapping, ports.block_pitch), .min = 1,
	  .max = MAPPING_MAX_BLOCK },
	{ "order", &field_choice, MEMBER(struct config_mapping, ports.order), .words = block_order_words },
	{ "inbound", &field_choice, MEMBER(struct config_mapping, inbound), .words = inbound_words },
	{ "sessions_per_user", &field_quota, MEMBER(struct config_mapping, sessions_per_user), .min = 1,
	  .max = UINT16_MAX },
	{ "session_slots", &field_mapping_slots, MEMBER(struct config_mapping, session_slots), .min = MIN_SLOTS,
	  .max = MAX_SLOTS },
	{ "endpoint_independent", &field_object, MEMBER(struct config_mapping, independence),
	  .fields = &independence_fields, .enabled = offsetof(struct config_mapping, independence.given) },
	{ "growth", &field_object, MEMBER(struct config_mapping, growth), .fields = &growth_fields,
	  .enabled = offsetof(struct config_mapping, growth.given) },
	{ "limits", &field_object, MEMBER(struct config_mapping, limits), .fields = &limits_fields,
	  .enabled = offsetof(struct config_mapping, limits.given) },
	{ "drain", &field_quota, MEMBER(struct config_mapping, drain), .max = CONFIG_MAX_DRAIN },
	{ "spare", &field_spare, .offset = 0, .max = CONFIG_MAX_SPARE },
	{ "until", &field_time, MEMBER(struct config_mapping, until) },
	{ "comment", &field_comment, MEMBER(struct config_mapping, comment) },
};
const struct fields config_mapping_fields = TABLE(mapping_table);

static const struct field portmap_table[] = {
	{ "name", &field_label, MEMBER(struct config_portmap, name) },
	{ "tenant", &field_label, MEMBER(struct config_portmap, tenant) },
	{ "proto", &field_word, MEMBER(struct config_portmap, protos), .required = true, .words = portmap_words },
	{ "in", &field_span, MEMBER(struct config_portmap, in), .required = true },
	{ "out", &field_span, MEMBER(struct config_portmap, out) },
};
const struct fields config_portmap_fields = TABLE(portmap_table);

static const struct field config_table[] = {
	{ "$schema", &field_comment, MEMBER(struct config, schema) },
	{ "comment", &field_comment, MEMBER(struct config, comment) },
	{ "interfaces", &field_top_interfaces, .offset = 0, .fields = &config_interfaces_fields },
	{ "tenants", &field_tenants, .offset = 0, .fields = &config_tenant_fields },
	{ "mappings", &field_mappings, .offset = 0, .fields = &config_mapping_fields },
	{ "portmaps", &field_portmaps, .offset = 0, .fields = &config_portmap_fields },
	{ "sessions_per_user", &field_number, MEMBER(struct config, sessions_per_user), .min = 1, .max = UINT16_MAX },
	{ "session_slots", &field_slots, MEMBER(struct config, session_slots), .min = MIN_SLOTS, .max = MAX_SLOTS },
	{ "endpoint_independent", &field_object, MEMBER(struct config, independence), .fields = &independence_fields,
	  .enabled = offsetof(struct config, independence.given) },
	{ "overflow_sessions", &field_number, MEMBER(struct config, overflow_sessions), .max = MAX_BEYOND },
	{ "timeouts", &field_object, MEMBER(struct config, timeouts), .fields = &timeouts_fields, .enabled = -1 },
	{ "ipfix", &field_object, MEMBER(struct config, ipfix), .fields = &ipfix_fields,
	  .enabled = offsetof(struct config, ipfix.enabled) },
	{ "syslog", &field_object, MEMBER(struct config, syslog), .fields = &syslog_fields,
	  .enabled = offsetof(struct config, syslog.enabled) },
	{ "fragments", &field_object, MEMBER(struct config, fragments), .fields = &fragments_fields, .enabled = -1 },
	{ "pcp", &field_object, MEMBER(struct config, pcp), .fields = &pcp_fields,
	  .enabled = offsetof(struct config, pcp.enabled) },
	{ "replication", &field_object, MEMBER(struct config, replication), .fields = &replication_fields,
	  .enabled = offsetof(struct config, replication.enabled) },
	{ "leases", &field_lease_sources, MEMBER(struct config, leases), .fields = &config_lease_fields },
	{ "lease_retention", &field_days, MEMBER(struct config, leases.retention), .min = 1, .max = MAX_DAYS },
	{ "grant_retention", &field_days, MEMBER(struct config, grant_retention), .min = 1, .max = MAX_DAYS },
	{ "audit_queries", &field_bool, MEMBER(struct config, audit_queries) },
	{ "suspects", &field_object, MEMBER(struct config, suspects), .fields = &suspects_fields,
	  .enabled = offsetof(struct config, suspects.enabled) },
	{ "attack", &field_object, MEMBER(struct config, attack), .fields = &attack_fields,
	  .enabled = offsetof(struct config, attack.enabled) },
	{ "forwarding", &field_word, MEMBER(struct config, forwarding), .words = forwarding_words },
	{ "xdp_mode", &field_word, MEMBER(struct config, xdp_mode), .words = xdp_mode_words },
	{ "xdp_dispatcher", &field_word, MEMBER(struct config, xdp_dispatcher), .words = dispatcher_words },
	{ "xdp_priority", &field_number, MEMBER(struct config, xdp_priority), .max = UINT8_MAX },
	{ "stages", &field_auto, MEMBER(struct config, stages), .min = 1, .max = 2 },
	{ "unmatched", &field_word, MEMBER(struct config, unmatched), .words = unmatched_words, SETTING(unmatched) },
	{ "bypass", &field_bypass, .offset = 0 },
	{ "guard", &field_bool, MEMBER(struct config, guard), SETTING(guard) },
	{ "answer_arp", &field_bool, MEMBER(struct config, answer_arp), SETTING(answer_arp) },
	{ "hairpin", &field_bool, MEMBER(struct config, hairpin), SETTING(hairpin) },
	{ "tcp_mss_clamp", &field_mss, MEMBER(struct config, tcp_mss_clamp), .min = MIN_MSS, .max = MAX_MSS,
	  SETTING(tcp_mss_clamp) },
	{ "udp_inbound_refresh", &field_bool, MEMBER(struct config, udp_inbound_refresh),
	  SETTING(udp_inbound_refresh) },
	{ "unsolicited_tcp", &field_word, MEMBER(struct config, unsolicited_tcp), .words = unsolicited_words,
	  SETTING(unsolicited_tcp) },
	{ "quota_icmp_code", &field_number, MEMBER(struct config, quota_icmp_code), .max = 15,
	  SETTING(quota_icmp_code) },
	{ "sweep_interval", &field_number, MEMBER(struct config, sweep_interval), .min = 1, .max = MAX_INTERVAL },
	{ "reload_guard", &field_number, MEMBER(struct config, reload_guard), .max = UINT32_MAX },
	{ "control_socket", &field_path, MEMBER(struct config, control_socket), .max = MAX_SOCKET_PATH },
	{ "pin_path", &field_path, MEMBER(struct config, pin_path), .max = MAX_DIRECTORY_PATH },
	{ "state_dir", &field_path, MEMBER(struct config, state_dir), .max = MAX_DIRECTORY_PATH },
	{ "metrics", &field_object, .fields = &metrics_fields, .enabled = offsetof(struct config, metrics_enabled) },
	{ "on_exit", &field_word, MEMBER(struct config, detach_on_exit), .words = on_exit_words },
};
const struct fields config_fields = TABLE(config_table);
