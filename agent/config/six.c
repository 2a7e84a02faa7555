/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Mappings whose subscribers are IPv6 prefixes (NAT64): the key `nat64_prefix`, and the virtual addresses of `in`,
 * which are all that the rest of the configuration knows of it.
 */
#include <errno.h>
#include <string.h>

#include "base/virtual6.h"
#include "config/fields.h"
#include "config/six.h"
#include "plan/plan.h"

/* ---- nat64_prefix */

static void nat64_expected(const struct field *f, char *text, size_t size)
{
	snprintf(text, size,
		 "an IPv6 prefix of 32, 40, 48, 56, 64 or 96 bits, bits 64 to 71 of which are 0, as \"64:ff9b::/96\"");
}

static bool nat64_valid(const struct field *f, const void *value)
{
	const struct config_six *six = value;

	return !six->nat64_plen || nat64_prefix_is_valid(&six->nat64, six->nat64_plen);
}

int config_nat64_parse(const char *text, struct config_six *ret)
{
	struct config_six six = *ret;

	if (prefix6_parse(text, &six.nat64, &six.nat64_plen) || !nat64_prefix_is_valid(&six.nat64, six.nat64_plen))
		return -EINVAL;
	*ret = six;
	return 0;
}

static int nat64_read(struct reader *r, const cJSON *json, const struct field *f, void *value)
{
	return cJSON_IsString(json) ? config_nat64_parse(json->valuestring, value) : -EINVAL;
}

const char *config_nat64_text(const struct config_six *six, char text[static INSIDE_TEXT])
{
	char addr[INSIDE_TEXT];

	snprintf(text, INSIDE_TEXT, "%.45s/%u", address6_text(&six->nat64, addr), six->nat64_plen);
	return text;
}

static int nat64_write(cJSON *object, const struct field *f, const void *value)
{
	const struct config_six *six = value;
	char text[INSIDE_TEXT];

	return six->nat64_plen ? json_add(object, f->name, cJSON_CreateString(config_nat64_text(six, text))) : 0;
}

const struct field_type field_nat64 = { nat64_expected, nat64_read, nat64_valid, nat64_write };

/* ---- Virtual addresses */

/* Whether a prefix can be cut into those of subscribers. The text of `in` is known to be a prefix. */
static int read_prefix(const char *text, unsigned subscriber_plen, struct prefixes6 *ret, struct error *err)
{
	struct address6 addr;
	unsigned plen = 0;

	if (prefix6_parse(text, &addr, &plen))
		return error_set(err, -EINVAL, "%.60s is no IPv6 prefix such as 2001:db8:4000::/36", text);
	if (plen > subscriber_plen)
		return error_set(err, -EINVAL, "%s is longer than the /%u of a subscriber", text, subscriber_plen);
	if (subscriber_plen - plen > SUBSCRIBER_BITS_MAX)
		return error_set(err, -EINVAL,
				 "%s has 2^%u subscribers of /%u: at most 2^%u, so a prefix of %u bits or more", text,
				 subscriber_plen - plen, subscriber_plen, SUBSCRIBER_BITS_MAX,
				 subscriber_plen - SUBSCRIBER_BITS_MAX);
	if (addr.lo || addr.hi & ~mask64(plen))
		return error_set(err, -EINVAL, "%s has bits behind its length", text);
	*ret = prefixes6_of(addr.hi, plen, subscriber_plen);
	return 0;
}

int config_virtual(const char *text, unsigned subscriber_plen, struct prefix *ret, struct error *err)
{
	struct prefixes6 p;
	int r = read_prefix(text, subscriber_plen, &p, err);

	if (r)
		return r;
	r = virtual6_place(&p, ret);
	if (r == -ENOSPC)
		return error_set(err, -EINVAL,
				 "%s does not fit: the prefixes of the history and of the configuration have more than "
				 "2^28 subscribers",
				 text);
	return r ? error_set(err, r, "out of memory") : 0;
}

int config_add_virtual(const char *text, unsigned subscriber_plen, struct plan_addresses *a, struct error *err)
{
	struct prefix p;
	int r = config_virtual(text, subscriber_plen, &p, err);

	return r ? r : plan_addresses_add(a, (struct plan_range){ p.base, prefix_last(p), true });
}

/* An inside prefix of the list, and its length. */
struct placed {
	struct prefixes6 of;
};

static int larger_first(const void *a, const void *b)
{
	const struct placed *x = a, *y = b;

	return (x->of.last < y->of.last) - (x->of.last > y->of.last);
}

/* Calls a function with each IPv6 prefix of an element's `in`, and returns their number. ret may be NULL. */
static size_t prefixes_of(const cJSON *element, struct placed *ret)
{
	const cJSON *in = cJSON_GetObjectItemCaseSensitive(element, "in");
	const cJSON *plen = cJSON_GetObjectItemCaseSensitive(element, "subscriber_plen");
	size_t n = 0;

	if (!cJSON_IsNumber(plen) ||
	    !(plen->valuedouble >= SUBSCRIBER_PLEN_MIN && plen->valuedouble <= SUBSCRIBER_PLEN_MAX))
		return 0;
	for (const cJSON *i = cJSON_IsArray(in) ? in->child : in; i; i = cJSON_IsArray(in) ? i->next : NULL) {
		struct prefixes6 p;
		struct error why;

		if (!cJSON_IsString(i) || !strchr(i->valuestring, ':') ||
		    read_prefix(i->valuestring, (unsigned)plen->valuedouble, &p, &why))
			continue;
		if (ret)
			ret[n].of = p;
		n++;
	}
	return n;
}

void config_place_prefixes(const cJSON *mappings)
{
	_cleanup_free_ struct placed *list = NULL;
	const cJSON *element;
	struct prefix placed;
	size_t n = 0;

	cJSON_ArrayForEach (element, mappings)
		n += prefixes_of(element, NULL);
	/* Without memory each is placed as it comes. */
	list = n ? calloc(n, sizeof(*list)) : NULL;
	if (!list)
		return;
	n = 0;
	cJSON_ArrayForEach (element, mappings)
		n += prefixes_of(element, &list[n]);
	qsort(list, n, sizeof(*list), larger_first);
	for (size_t i = 0; i < n; i++)
		virtual6_place(&list[i].of, &placed);
}

static int refuse_key(struct reader *r, const cJSON *element, const char *key, const char *text)
{
	const cJSON *json = cJSON_GetObjectItemCaseSensitive(element, key);

	json_path_add_key(&r->path, key, strlen(key));
	return reader_refuse(r, json ? json : element, "%s", text);
}

#define ONLY_IPV6 "is for IPv6 subscribers, and `in` is of IPv4: leave it out"

/* Keys of IPv6 subscribers on a mapping of IPv4 ones. */
static int refuse_six_keys(struct reader *r, const cJSON *element)
{
	static const char *const keys[] = { "subscriber_plen", "nat64_prefix", "hosts_per_subscriber",
					    "lowest_ipv6_mtu" };

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (cJSON_HasObjectItem(element, keys[i]))
			return refuse_key(r, element, keys[i], ONLY_IPV6);
	return 0;
}

int config_place(struct reader *r, const cJSON *element)
{
	const cJSON *in = cJSON_GetObjectItemCaseSensitive(element, "in"), *first = cJSON_IsArray(in) ? in->child : in;
	struct config_mapping *m = &r->config->mappings[r->config->n_mappings - 1];
	struct prefixes6 p;
	struct error why;
	size_t i = 0;

	if (!cJSON_IsString(first) || !strchr(first->valuestring, ':'))
		return refuse_six_keys(r, element);
	if (!m->six.subscriber_plen)
		return refuse_key(r, element, "subscriber_plen",
				  "is missing: the length of a subscriber's prefix, 48 to 64, as 56");
	if (!m->six.nat64_plen)
		return refuse_key(r, element, "nat64_prefix",
				  "is missing: the prefix of IPv4 addresses for its subscribers, as \"64:ff9b::/96\"");
	json_path_add_key(&r->path, "in", strlen("in"));
	for (const cJSON *json = first; json; json = cJSON_IsArray(in) ? json->next : NULL) {
		size_t before = cJSON_IsArray(in) ? json_path_add_index(&r->path, i++) : strlen(r->path.text);

		if (read_prefix(json->valuestring, m->six.subscriber_plen, &p, &why) ||
		    (cJSON_IsString(in) && config_virtual(json->valuestring, m->six.subscriber_plen, &m->in, &why)))
			return reader_refuse(r, json, "%s", why.text);
		json_path_cut(&r->path, before);
	}
	json_path_cut(&r->path, strlen(r->path.text) - strlen(".in"));
	return 0;
}

int config_place_again(struct config *c)
{
	for (size_t i = 0; i < c->n_mappings; i++) {
		struct config_mapping *m = &c->mappings[i];
		struct prefixes6 p;
		struct prefix in;
		int r;

		if (!config_is_ipv6(m) || !virtual6_prefixes(m->in, &p))
			continue;
		r = virtual6_place(&p, &in);
		if (r)
			return r;
		m->in = in;
	}
	config_mappings_changed(c);
	return 0;
}

void config_record6(const struct config_mapping *m, struct record6 *ret)
{
	struct prefixes6 p;

	*ret = (struct record6){ 0 };
	if (!config_is_ipv6(m) || !virtual6_prefixes(m->in, &p))
		return;
	ret->in_hi = p.hi;
	ret->subscriber_plen = p.plen;
	ret->hosts = (uint8_t)(m->six.hosts ? m->six.hosts : HOSTS_DEFAULT_NAT64);
	ret->lowest_mtu = (uint16_t)(m->six.lowest_mtu ? m->six.lowest_mtu : LOWEST_IPV6_MTU);
	record6_set_prefix(ret, &m->six.nat64, m->six.nat64_plen);
}

struct config_six config_six_of(const struct record6 *r)
{
	return (struct config_six){ .subscriber_plen = r->subscriber_plen,
				    .nat64_plen = r->nat64_plen,
				    .nat64 = { be64_number(r->nat64[0]), be64_number(r->nat64[1]) } };
}
