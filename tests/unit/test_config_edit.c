/* SPDX-License-Identifier: BSD-2-Clause */
/* Elements added and taken away, copies, and validation of what came of it. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "config/config.h"

static const struct prefix in_a = { 0x0a000000, 18 }, out_a = { 0x01010100, 30 };
static const struct prefix in_b = { 0x0a010000, 18 }, out_b = { 0x01010200, 30 };

Test(config_edit, mappings)
{
	_cleanup_config_ struct config *c = config_new();

	cr_expect_eq(config_add_mapping(c, "", in_a, out_a), 0);
	cr_expect_eq(config_add_mapping(c, "", in_b, out_b), 0);
	cr_expect_eq(config_add_mapping(c, "", in_a, out_a), -EEXIST);
	cr_expect_eq(c->n_mappings, 2);
	cr_expect_null(config_find_mapping(c, in_a, out_b));
	cr_expect_eq(config_find_mapping(c, in_b, out_b), &c->mappings[1]);
	cr_expect_eq(config_del_mapping_of(c, "", in_a, out_b), -ENOENT);
	cr_expect_eq(config_del_mapping_of(c, "", in_a, out_a), 0);
	cr_expect_eq(config_find_mapping(c, in_b, out_b), &c->mappings[0]);
	cr_expect_eq(config_del_mapping_of(c, "", in_b, out_b), 0);
	cr_expect_eq(config_del_mapping_of(c, "", in_b, out_b), -ENOENT);
	cr_expect_eq(c->n_mappings, 0);
}

Test(config_edit, interfaces)
{
	_cleanup_config_ struct config *c = config_new();

	cr_expect_eq(config_add_interface(c, "a", DEVICE_INSIDE), 0);
	cr_expect_eq(config_add_interface(c, "b", DEVICE_OUTSIDE), 0);
	cr_expect_eq(config_add_interface(c, "a", DEVICE_INSIDE), -EEXIST);
	cr_expect_eq(config_add_interface(c, "a", DEVICE_OUTSIDE), 0);
	cr_expect_eq(config_add_interface(c, "a", DEVICE_INSIDE | DEVICE_OUTSIDE), -EEXIST);
	cr_expect_eq(config_add_interface(c, "a name that is too long", DEVICE_INSIDE), -EINVAL);
	cr_expect_eq(config_add_interface(c, "", DEVICE_INSIDE), -EINVAL);
	cr_expect_eq(c->n_interfaces, 2);
	cr_expect_eq(config_find_interface(c, "a")->roles, DEVICE_INSIDE | DEVICE_OUTSIDE);
	cr_expect_eq(config_del_interface(c, "b", DEVICE_INSIDE), -ENOENT);
	cr_expect_eq(config_del_interface(c, "c", DEVICE_INSIDE), -ENOENT);
	cr_expect_eq(config_del_interface(c, "a", DEVICE_INSIDE), 0);
	cr_expect_eq(config_find_interface(c, "a")->roles, DEVICE_OUTSIDE);
	cr_expect_eq(config_del_interface(c, "a", DEVICE_OUTSIDE), 0);
	cr_expect_null(config_find_interface(c, "a"));
	cr_expect_not_null(config_find_interface(c, "b"));
	cr_expect_eq(c->n_interfaces, 1);
}

Test(config_edit, a_copy_shares_nothing)
{
	struct config *c = config_new();
	_cleanup_config_ struct config *copy = NULL;

	cr_assert_eq(config_add_mapping(c, "", in_a, out_a), 0);
	cr_assert_eq(config_add_interface(c, "a", DEVICE_INSIDE), 0);
	c->timeouts[TIMEOUT_ICMP] = 61;
	copy = config_clone(c);
	cr_assert_not_null(copy);
	cr_assert_eq(config_del_mapping_of(c, "", in_a, out_a), 0);
	c->interfaces[0].roles = DEVICE_OUTSIDE;
	c->pin_path[0] = 'x';
	config_free(c);
	cr_expect_eq(copy->n_mappings, 1);
	cr_expect_not_null(config_find_mapping(copy, in_a, out_a));
	cr_expect_eq(copy->interfaces[0].roles, DEVICE_INSIDE);
	cr_expect_str_eq(copy->pin_path, "/sys/fs/bpf/detnat");
	cr_expect_eq(copy->timeouts[TIMEOUT_ICMP], 61);
}

static void expect_invalid(const struct config *c, const char *message)
{
	struct error err = { "" };

	cr_expect_eq(config_validate(c, NULL, &err), -EINVAL, "%s was not found", message);
	cr_expect_str_eq(err.text, message, "%s", err.text);
}

Test(config_edit, an_edit_that_breaks_something_is_refused_without_file_and_line)
{
	_cleanup_config_ struct config *c = config_new();
	struct error err;

	cr_assert_eq(config_validate(c, "running", &err), 0);
	cr_assert_eq(config_add_mapping(c, "", in_a, out_a), 0);
	cr_assert_eq(config_add_mapping(c, "", in_b, out_a), 0);
	expect_invalid(c, "1.1.1.0/30 overlaps 1.1.1.0/30, a range of another mapping");
	cr_expect_eq(config_validate(c, "running", &err), -EINVAL);
	cr_expect_str_eq(err.text, "running: mappings[1].out: 1.1.1.0/30 overlaps 1.1.1.0/30, mappings[0].out");
	cr_assert_eq(config_del_mapping_of(c, "", in_b, out_a), 0);

	c->mappings[0].in.base |= 1;
	expect_invalid(c, "mappings[0].in: must be an IPv4 prefix such as \"10.0.0.0/18\", a range such as "
			  "\"10.0.0.1-10.0.0.254\", or a list of these");
	c->mappings[0].in = in_a;
	c->mappings[0].session_slots = 7;
	expect_invalid(c, "mappings[0].session_slots: must be \"auto\" or a power of two from 8 to 2048");
	c->mappings[0].session_slots = CONFIG_SLOTS_AUTO;
	c->mappings[0].sessions_per_user = 65536;
	expect_invalid(c, "mappings[0].sessions_per_user: must be a whole number from 1 to 65535");
	c->mappings[0].sessions_per_user = 0;
	c->timeouts[TIMEOUT_TCP_ESTABLISHED] = 0;
	expect_invalid(c, "timeouts.tcp_established: must be a whole number from 1 to 604800");
	c->timeouts[TIMEOUT_TCP_ESTABLISHED] = 604800;
	c->ipfix.path_mtu = 127;
	cr_expect_eq(config_validate(c, NULL, NULL), 0, "there is no ipfix, so its values do not matter");
	c->ipfix.enabled = true;
	expect_invalid(
		c, "ipfix.collector: must be an IPv4 address and a port from 1 to 65535, such as \"192.0.2.10:4739\"");
	c->ipfix.n_collectors = 1;
	c->ipfix.collectors[0].at = (struct endpoint){ 1, 1 };
	expect_invalid(c, "ipfix.path_mtu: must be a whole number from 128 to 65535");
	c->ipfix.path_mtu = 128;
	cr_expect_eq(config_validate(c, NULL, NULL), 0);
	c->tcp_mss_clamp = 1;
	expect_invalid(c, "tcp_mss_clamp: must be 0, \"mtu\", or a whole number from 536 to 65495");
	c->tcp_mss_clamp = 0;
	c->session_slots = CONFIG_SLOTS_AUTO;
	expect_invalid(c, "session_slots: must be \"auto\" or a power of two from 8 to 2048");
	c->session_slots = 0;
	c->forwarding = 2;
	expect_invalid(c, "forwarding: must be one of \"redirect\", \"kernel\"");
	c->forwarding = 0;
	c->sessions_per_user = 0;
	expect_invalid(c, "sessions_per_user: must be a whole number from 1 to 65535");
}

Test(config_edit, names_and_comments_survive_being_written_and_read)
{
	static const char text[] =
		"{\"$schema\":\"x.json\",\"comment\":\"\xc3\xa4\",\"interfaces\":{\"inside\":[\"a\"],"
		"\"outside\":[\"b\"]},\"mappings\":[{\"name\":\"a.1\",\"in\":\"10.0.0.0/24\",\"out\":"
		"\"1.1.1.0/30\",\"comment\":\"floor 2\"},{\"in\":\"10.1.0.0/24\",\"out\":\"1.1.2.0/30\"}]}";
	struct config *c, *again;
	struct error err = { "" };
	char *json, title[MAPPING_TITLE];

	cr_assert_eq(config_parse(text, strlen(text), NULL, &c, &err), 0, "%s", err.text);
	json = config_to_json(c);
	cr_assert_eq(config_parse(json, strlen(json), NULL, &again, &err), 0, "%s", err.text);
	cr_expect_str_eq(again->schema, "x.json");
	cr_expect_str_eq(again->comment, "\xc3\xa4");
	cr_expect_str_eq(again->mappings[0].name, "a.1");
	cr_expect_str_eq(again->mappings[0].comment, "floor 2");
	cr_expect_str_eq(again->mappings[1].name, "");
	cr_expect_eq(config_find_named(again, "a.1"), &again->mappings[0]);
	cr_expect_null(config_find_named(again, ""));
	cr_expect_null(config_find_named(again, "a"));
	cr_expect_eq(config_find_inside(again, again->mappings[1].in), &again->mappings[1]);
	cr_expect_str_eq(config_mapping_title(again, "", c->mappings[0].in, c->mappings[0].out, title),
			 "a.1 (10.0.0.0/24)");
	cr_expect_str_eq(config_mapping_title(again, "", c->mappings[1].in, c->mappings[1].out, title), "10.1.0.0/24");
	free(json);
	config_free(c);
	config_free(again);
}
