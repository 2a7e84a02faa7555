/* SPDX-License-Identifier: BSD-2-Clause */
/* Numbers, words and truth values of the configuration: read from JSON, checked, written back; text_types.c has texts.
 */
#include <errno.h>
#include <string.h>

#include "config/fields.h"

int json_add(cJSON *object, const char *name, cJSON *item)
{
	if (!item || !cJSON_AddItemToObject(object, name, item)) {
		cJSON_Delete(item);
		return -ENOMEM;
	}
	return 0;
}

int json_append(cJSON *array, cJSON *item)
{
	if (!item || !cJSON_AddItemToArray(array, item)) {
		cJSON_Delete(item);
		return -ENOMEM;
	}
	return 0;
}

uint32_t number_load(const void *value, size_t size)
{
	return size == 1 ? *(const uint8_t *)value : *(const uint32_t *)value;
}

void number_store(void *value, size_t size, uint32_t n)
{
	if (size == 1)
		*(uint8_t *)value = (uint8_t)n;
	else
		*(uint32_t *)value = n;
}

static uint32_t load(const struct field *f, const void *value)
{
	return number_load(value, f->size);
}

/* JSON has one kind of number: 1000, 1e3 and 1000.0 are the same. 0.5 is refused. */
static int whole_number(const cJSON *json, uint32_t *ret)
{
	double n = json->valuedouble;

	if (!cJSON_IsNumber(json) || !(n >= 0 && n <= UINT32_MAX) || n != (uint32_t)n)
		return -EINVAL;
	*ret = (uint32_t)n;
	return 0;
}

static void number_expected(const struct field *f, char *text, size_t size)
{
	snprintf(text, size, "a whole number from %u to %u", f->min, f->max);
}

static bool number_valid(const struct field *f, const void *value)
{
	uint32_t n = load(f, value);

	return n >= f->min && n <= f->max;
}

static int number_read(struct reader *r, const cJSON *json, const struct field *f, void *value)
{
	uint32_t n;

	if (whole_number(json, &n) < 0 || n < f->min || n > f->max)
		return -EINVAL;
	number_store(value, f->size, n);
	return 0;
}

static int number_write(cJSON *object, const struct field *f, const void *value)
{
	return json_add(object, f->name, cJSON_CreateNumber(load(f, value)));
}

const struct field_type field_number = { number_expected, number_read, number_valid, number_write };

/* A number or "auto", which is 0. */

static void auto_expected(const struct field *f, char *text, size_t size)
{
	snprintf(text, size, "\"auto\" or a whole number from %u to %u", f->min, f->max);
}

static bool auto_valid(const struct field *f, const void *value)
{
	return !load(f, value) || number_valid(f, value);
}

static int auto_read(struct reader *r, const cJSON *json, const struct field *f, void *value)
{
	if (!cJSON_IsString(json) || strcmp(json->valuestring, "auto") != 0)
		return number_read(r, json, f, value);
	number_store(value, f->size, 0);
	return 0;
}

static int auto_write(cJSON *object, const struct field *f, const void *value)
{
	return load(f, value) ? number_write(object, f, value) : json_add(object, f->name, cJSON_CreateString("auto"));
}

const struct field_type field_auto = { auto_expected, auto_read, auto_valid, auto_write };

/* A mapping's own number, in place of the configuration's; 0: not given. */

static bool quota_valid(const struct field *f, const void *value)
{
	return !load(f, value) || number_valid(f, value);
}

static int quota_write(cJSON *object, const struct field *f, const void *value)
{
	return load(f, value) ? number_write(object, f, value) : 0;
}

const struct field_type field_quota = { number_expected, number_read, quota_valid, quota_write };

/* The first port of a mapping: a number, and 0 is not the same as "not given". */

static int first_port_read(struct reader *r, const cJSON *json, const struct field *f, void *value)
{
	uint32_t *port = value;
	int ret = number_read(r, json, f, value);

	if (!ret && !*port)
		*port = PORTS_FROM_0;
	return ret;
}

static bool first_port_valid(const struct field *f, const void *value)
{
	return load(f, value) == PORTS_FROM_0 || number_valid(f, value);
}

static int first_port_write(cJSON *object, const struct field *f, const void *value)
{
	if (load(f, value) != PORTS_FROM_0)
		return quota_write(object, f, value);
	return json_add(object, f->name, cJSON_CreateNumber(0));
}

const struct field_type field_first_port = { number_expected, first_port_read, first_port_valid, first_port_write };

static void bool_expected(const struct field *f, char *text, size_t size)
{
	snprintf(text, size, "true or false");
}

static int bool_read(struct reader *r, const cJSON *json, const struct field *f, void *value)
{
	if (!cJSON_IsBool(json))
		return -EINVAL;
	*(bool *)value = cJSON_IsTrue(json);
	return 0;
}

static int bool_write(cJSON *object, const struct field *f, const void *value)
{
	return json_add(object, f->name, cJSON_CreateBool(*(const bool *)value));
}

const struct field_type field_bool = { bool_expected, bool_read, NULL, bool_write };

static void word_expected(const struct field *f, char *text, size_t size)
{
	size_t length = (size_t)snprintf(text, size, "one of");

	for (const struct word *word = f->words; word->text && length < size; word++)
		length += (size_t)snprintf(text + length, size - length, "%s \"%s\"", word == f->words ? "" : ",",
					   word->text);
}

/* Stores the number of a word plus `more`. */
static int read_word(const cJSON *json, const struct field *f, void *value, uint32_t more)
{
	uint32_t number;

	if (!cJSON_IsString(json) || word_number(f->words, json->valuestring, &number))
		return -EINVAL;
	number_store(value, f->size, number + more);
	return 0;
}

static int write_word(cJSON *object, const struct field *f, uint32_t number)
{
	return json_add(object, f->name, cJSON_CreateString(word_text(f->words, number)));
}

static int word_read(struct reader *r, const cJSON *json, const struct field *f, void *value)
{
	return read_word(json, f, value, 0);
}

static bool word_valid(const struct field *f, const void *value)
{
	return word_text(f->words, load(f, value)) != NULL;
}

static int word_write(cJSON *object, const struct field *f, const void *value)
{
	return write_word(object, f, load(f, value));
}

const struct field_type field_word = { word_expected, word_read, word_valid, word_write };

static int choice_write(cJSON *object, const struct field *f, const void *value)
{
	return load(f, value) ? write_word(object, f, load(f, value)) : 0;
}

const struct field_type field_choice = { word_expected, word_read, word_valid, choice_write };

static int own_word_read(struct reader *r, const cJSON *json, const struct field *f, void *value)
{
	return read_word(json, f, value, 1);
}

static bool own_word_valid(const struct field *f, const void *value)
{
	return !load(f, value) || word_text(f->words, load(f, value) - 1) != NULL;
}

static int own_word_write(cJSON *object, const struct field *f, const void *value)
{
	return load(f, value) ? write_word(object, f, load(f, value) - 1) : 0;
}

const struct field_type field_own_word = { word_expected, own_word_read, own_word_valid, own_word_write };

static int own_number_read(struct reader *r, const cJSON *json, const struct field *f, void *value)
{
	uint32_t n;

	if (whole_number(json, &n) < 0 || n < f->min || n > f->max)
		return -EINVAL;
	*(uint16_t *)value = (uint16_t)(n + 1);
	return 0;
}

static bool own_number_valid(const struct field *f, const void *value)
{
	uint32_t n = *(const uint16_t *)value;

	return !n || (n - 1 >= f->min && n - 1 <= f->max);
}

static int own_number_write(cJSON *object, const struct field *f, const void *value)
{
	uint32_t n = *(const uint16_t *)value;

	return n ? json_add(object, f->name, cJSON_CreateNumber(n - 1)) : 0;
}

const struct field_type field_own_number = { number_expected, own_number_read, own_number_valid, own_number_write };

/* Session slots: 0 means "auto" in the configuration, and "not given" in a mapping. */

static void slots_expected(const struct field *f, char *text, size_t size)
{
	snprintf(text, size, "\"auto\" or a power of two from %u to %u", f->min, f->max);
}

static bool slots_ok(const struct field *f, uint32_t slots)
{
	return slots >= f->min && slots <= f->max && (slots & (slots - 1)) == 0;
}

static int slots_read_auto(const cJSON *json, const struct field *f, uint32_t value_auto, uint32_t *value)
{
	uint32_t slots;

	if (cJSON_IsString(json) && strcmp(json->valuestring, "auto") == 0)
		slots = value_auto;
	else if (whole_number(json, &slots) < 0 || !slots_ok(f, slots))
		return -EINVAL;
	*value = slots;
	return 0;
}

static int slots_read(struct reader *r, const cJSON *json, const struct field *f, void *value)
{
	return slots_read_auto(json, f, 0, value);
}

static bool slots_valid(const struct field *f, const void *value)
{
	return !load(f, value) || slots_ok(f, load(f, value));
}

static int slots_write(cJSON *object, const struct field *f, const void *value)
{
	return load(f, value) ? number_write(object, f, value) : json_add(object, f->name, cJSON_CreateString("auto"));
}

static int mapping_slots_read(struct reader *r, const cJSON *json, const struct field *f, void *value)
{
	return slots_read_auto(json, f, CONFIG_SLOTS_AUTO, value);
}

static bool mapping_slots_valid(const struct field *f, const void *value)
{
	return load(f, value) == CONFIG_SLOTS_AUTO || slots_valid(f, value);
}

static int mapping_slots_write(cJSON *object, const struct field *f, const void *value)
{
	if (load(f, value) == CONFIG_SLOTS_AUTO)
		return json_add(object, f->name, cJSON_CreateString("auto"));
	return quota_write(object, f, value);
}

const struct field_type field_slots = { slots_expected, slots_read, slots_valid, slots_write };
const struct field_type field_mapping_slots = { slots_expected, mapping_slots_read, mapping_slots_valid,
						mapping_slots_write };

static void mss_expected(const struct field *f, char *text, size_t size)
{
	snprintf(text, size, "0, \"mtu\", or a whole number from %u to %u", f->min, f->max);
}

static bool mss_valid(const struct field *f, const void *value)
{
	uint32_t mss = load(f, value);

	return !mss || mss == MSS_CLAMP_MTU || (mss >= f->min && mss <= f->max);
}

static int mss_read(struct reader *r, const cJSON *json, const struct field *f, void *value)
{
	uint32_t mss;

	if (cJSON_IsString(json) && strcmp(json->valuestring, "mtu") == 0)
		mss = MSS_CLAMP_MTU;
	else if (whole_number(json, &mss) < 0 || mss == MSS_CLAMP_MTU || !mss_valid(f, &mss))
		return -EINVAL;
	*(uint32_t *)value = mss;
	return 0;
}

static int mss_write(cJSON *object, const struct field *f, const void *value)
{
	if (load(f, value) == MSS_CLAMP_MTU)
		return json_add(object, f->name, cJSON_CreateString("mtu"));
	return number_write(object, f, value);
}

const struct field_type field_mss = { mss_expected, mss_read, mss_valid, mss_write };
