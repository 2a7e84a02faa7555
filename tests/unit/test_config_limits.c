/* SPDX-License-Identifier: BSD-2-Clause */
/* As much as there is room for is taken, one more is refused; and no text, however hostile, takes long. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#include <detnat/portmaps.h>

#include "base/json_scan.h"
#include "config/config.h"

#define INTERFACES "\"interfaces\":{\"inside\":[\"eth1\"],\"outside\":[\"eth0\"]}"
/* Generous, as the machine may be busy; what is quadratic takes minutes. */
#define MAX_SECONDS 5

struct text {
	char *text;
	size_t size;
};

/* A list of n elements, a line each, made by a format that takes the two octets of the number. */
static struct text list_of(const char *before, unsigned n, const char *element, const char *after)
{
	struct text t;
	FILE *f = open_memstream(&t.text, &t.size);

	fputs(before, f);
	for (unsigned i = 0; i < n; i++) {
		fputs(i ? ",\n" : "\n", f);
		fprintf(f, element, i >> 8, i & 255);
	}
	fputs(after, f);
	fclose(f);
	return t;
}

/* The same text n times, between two others. */
static struct text repeated(const char *before, const char *part, size_t n, const char *after)
{
	struct text t;
	FILE *f = open_memstream(&t.text, &t.size);

	fputs(before, f);
	while (n--)
		fputs(part, f);
	fputs(after, f);
	fclose(f);
	return t;
}

Test(config_limits, full_lists_are_taken_and_one_more_is_refused)
{
	static const struct {
		const char *before, *element, *after;
		unsigned most;
		const char *message;
	} rows[] = {
		{ "{" INTERFACES ",\"mappings\":[",
		  "{\"in\":\"10.%1$u.%2$u.0/24\",\"out\":\"198.%1$u.%2$u.0/"
		  "32\",\"sessions_per_user\":7,\"session_slots\":8}",
		  "]}", 4096, "FILE:4098: mappings[4096]: more than 4096 mappings" },
		{ "{" INTERFACES ",\"bypass\":[", "\"10.%u.%u.0/24\"", "]}", 256,
		  "FILE:258: bypass[256]: more than 256 prefixes" },
		{ "{\"interfaces\":{\"outside\":[],\"inside\":[", "\"e%u.%u\"", "]}}", 4096,
		  "FILE:4098: interfaces.inside[4096]: more than 4096 names of interfaces" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct text full = list_of(rows[i].before, rows[i].most, rows[i].element, rows[i].after);
		struct text more = list_of(rows[i].before, rows[i].most + 1, rows[i].element, rows[i].after);
		_cleanup_config_ struct config *c = NULL;
		struct config *none = NULL;
		struct error err = { "" };

		cr_expect_eq(config_parse(full.text, full.size, "FILE", &c, &err), 0, "row %zu: %s", i, err.text);
		cr_expect_eq(config_parse(more.text, more.size, "FILE", &none, &err), -EINVAL, "row %zu", i);
		cr_expect_str_eq(err.text, rows[i].message, "%s", err.text);
		free(full.text);
		free(more.text);
	}
}

Test(config_limits, edited_beyond_the_limits_is_refused_by_validation)
{
	_cleanup_config_ struct config *c = config_new();
	struct error err;

	for (uint32_t i = 0; i < CONFIG_MAX_MAPPINGS; i++)
		cr_assert_eq(
			config_add_mapping(c, "", (struct prefix){ 0x0a000000 + i, 32 }, (struct prefix){ i + 1, 32 }),
			0);
	cr_assert_eq(config_validate(c, NULL, &err), 0, "%s", err.text);
	cr_assert_eq(config_add_mapping(c, "", (struct prefix){ 0x0b000000, 32 }, (struct prefix){ 0x01000000, 32 }),
		     0);
	cr_assert_eq(config_validate(c, NULL, &err), -EINVAL);
	cr_assert_str_eq(err.text, "mappings[4096]: more than 4096 mappings; each range of a list counts", "%s",
			 err.text);
	cr_assert_eq(config_del_mapping_of(c, "", (struct prefix){ 0x0a000000, 32 }, (struct prefix){ 1, 32 }), 0);
	cr_assert_eq(config_validate(c, NULL, &err), 0);

	for (unsigned i = 0; i <= CONFIG_MAX_INTERFACES; i++) {
		char name[IFNAMSIZ];

		snprintf(name, sizeof(name), "e%u", i);
		if (i == CONFIG_MAX_INTERFACES)
			cr_assert_eq(config_validate(c, NULL, NULL), 0);
		cr_assert_eq(config_add_interface(c, name, DEVICE_INSIDE), 0);
	}
	cr_assert_eq(config_validate(c, NULL, &err), -EINVAL);
	cr_assert_str_eq(err.text, "interfaces: more than 4096 interfaces", "%s", err.text);
}

Test(config_limits, hostile_texts_are_refused_at_once)
{
	static const char interfaces_open[] = "{\"interfaces\":{\"inside\":[\"a\"],\"outside\":[";
	static const struct {
		const char *before, *part;
		size_t n;
		const char *after, *message;
	} rows[] = {
		{ "", "[", 8000000, "", "nested more than 32 deep" },
		{ "", "{\"a\":", 1600000, "", "nested more than 32 deep" },
		{ "{\"mappings\":", "[", 32, "", "nested more than 32 deep" },
		{ "[", "0,", 4000000, "0]", "more than 1048576 values" },
		{ "{", "\"a\":0,", 1600000, "\"a\":0}", "more than 1048576 values" },
		{ "{", "\"hairpin\":true,", 900000, "\"hairpin\":true}", "this key is here twice" },
		{ "{\"", "k", 8000000, "\":1}", "unknown key" },
		{ "{\"sweep_interval\":", "9", 8000000, "}", "a number of more than 40 characters" },
		{ "{\"pin_path\":\"/", "x", 8000000, "\"}", "must be an absolute path of at most 1023 octets" },
		{ interfaces_open, "\"a\",", 900000, "\"b\"]}}", "more than 4096 names of interfaces" },
		{ "", "\n", 8000000, "}", "FILE:8000001: '}' where a value should be" },
		{ "", " ", 8000000, "", "there is nothing in it" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct text t = repeated(rows[i].before, rows[i].part, rows[i].n, rows[i].after);
		struct timespec start, end;
		struct config *c = NULL;
		struct error err = { "" };
		int r;

		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);
		r = config_parse(t.text, t.size, "FILE", &c, &err);
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
		cr_expect_eq(r, -EINVAL, "row %zu was taken", i);
		cr_expect(strstr(err.text, rows[i].message), "row %zu: %s", i, err.text);
		cr_expect_lt(end.tv_sec - start.tv_sec, MAX_SECONDS, "row %zu took %ld s", i,
			     (long)(end.tv_sec - start.tv_sec));
		free(t.text);
	}
}

Test(config_limits, as_many_mappings_as_there_may_be_validate_in_no_time)
{
	_cleanup_config_ struct config *c = config_new();
	struct timespec start, end;

	for (uint32_t i = 0; i < CONFIG_MAX_MAPPINGS; i++)
		cr_assert_eq(config_add_mapping(c, "", (struct prefix){ 0x0a000000 + (i << 8), 24 },
						(struct prefix){ 0xc0000000 + i, 32 }),
			     0);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);
	for (int i = 0; i < 10; i++)
		cr_assert_eq(config_validate(c, NULL, NULL), 0);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
	cr_expect_lt(end.tv_sec - start.tv_sec, MAX_SECONDS);
}

/* A file with as much of everything as fits: mappings with all their keys, portmaps with names. */
static struct text full_file(void)
{
	struct text t = { NULL, 0 };
	FILE *f = open_memstream(&t.text, &t.size);

	fputs("{" INTERFACES ",\"mappings\":[", f);
	for (unsigned i = 0; i < CONFIG_MAX_MAPPINGS; i++)
		fprintf(f,
			"%s\n{\"name\":\"customer-%u\",\"in\":\"10.%u.%u.0/28\",\"out\":\"100.112.%u.%u/32\","
			"\"spare\":[\"100.96.%u.%u/32\"],\"drain\":600,\"sessions_per_user\":500,\"ports_per_host\":64,"
			"\"endpoint_independent\":{\"mapping\":[\"udp\",\"tcp\",\"icmp\"],\"filtering\":[\"udp\"]},"
			"\"limits\":{\"tcp\":9,\"udp\":9,\"icmp\":5,\"new_per_second\":10,\"new_burst\":20},"
			"\"growth\":{\"block\":64,\"max_blocks\":4,\"idle\":300,\"rest\":300},\"comment\":\"%u\"}",
			i ? "," : "", i, i >> 8, i & 255, i >> 8, i & 255, i >> 8, i & 255, i);
	fputs("],\"portmaps\":[", f);
	for (unsigned i = 0; i < MAX_PORTMAPS; i++)
		fprintf(f, "%s\n{\"name\":\"portmap-%u\",\"proto\":\"tcp\",\"in\":\"10.%u.%u.%u:%u\"}", i ? "," : "", i,
			i >> 12, i >> 4 & 255, i & 15, 1000 + i % 7);
	fputs("]}", f);
	fclose(f);
	return t;
}

Test(config_limits, a_file_with_all_that_the_lists_allow_is_read_written_read_again_and_compared)
{
	struct text t = full_file();
	_cleanup_config_ struct config *c = NULL, *again = NULL;
	_cleanup_json_ cJSON *from = NULL, *to = NULL, *patch = NULL;
	_cleanup_free_ char *json = NULL;
	struct error err = { "" };

	cr_assert_lt(t.size, CONFIG_MAX_SIZE);
	cr_assert_eq(config_parse(t.text, t.size, "FILE", &c, &err), 0, "%s", err.text);
	cr_assert_eq(c->n_portmaps, MAX_PORTMAPS);
	json = config_to_json(c);
	cr_assert_lt(strlen(json), CONFIG_MAX_SIZE);
	cr_assert_eq(config_parse(json, strlen(json), "JSON", &again, &err), 0, "%s", err.text);
	cr_assert_eq(config_same(c, again), 1);
	from = config_document(c, false);
	to = config_document(again, false);
	patch = config_patch(from, to);
	cr_assert_not_null(patch);
	cr_assert_eq(cJSON_GetArraySize(patch), 0);
	free(t.text);
}

Test(config_limits, more_values_than_any_lists_have_are_refused)
{
	struct text t = list_of("{\"mappings\":[", JSON_MAX_VALUES - 2, "0", "]}");
	struct json_fault fault;
	cJSON *json = NULL;

	cr_assert_eq(json_read(t.text, t.size, &json, &fault), 0);
	cJSON_Delete(json);
	free(t.text);
	t = list_of("{\"mappings\":[", JSON_MAX_VALUES - 1, "0", "]}");
	cr_assert_eq(json_read(t.text, t.size, &json, &fault), -EINVAL);
	cr_assert_str_eq(fault.text, "more than 1048576 values");
	free(t.text);
}
