// SPDX-License-Identifier: BSD-2-Clause
/*
 * The translation between IPv6 and IPv4 against the model in tests/nat64, which was written from the documents alone:
 * random packets, errors, fragments and malformed ones, octet for octet. NAT64_SEED and NAT64_PACKETS change them.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ip_checksum.h"
#include "punt/sender.h"
#include "six_fixture.h"

#define RESULTS_MAX 64

TestSuite(six_model, .init = six_set_up, .fini = six_tear_down);

struct octets {
	uint8_t at[SIX_PACKET_MAX];
	size_t size;
};

struct vector {
	struct six_scene scene;
	int family;
	int any_ident;
	struct octets in;
	struct octets out[RESULTS_MAX];
	size_t n_out;
};

static void octets_read(const char *hex, struct octets *ret)
{
	ret->size = strlen(hex) / 2;
	cr_assert_leq(ret->size, SIX_PACKET_MAX);
	for (size_t i = 0; i < ret->size; i++) {
		char pair[3] = { hex[2 * i], hex[2 * i + 1] };

		ret->at[i] = (uint8_t)strtoul(pair, NULL, 16);
	}
}

static uint32_t number(void)
{
	return (uint32_t)strtoul(strtok(NULL, " \n"), NULL, 10);
}

static void address_read(__u64 ret[2])
{
	struct octets o;

	octets_read(strtok(NULL, " \n"), &o);
	memcpy(ret, o.at, 16);
}

/* Reads a line of tests/nat64/vectors.py. */
static void vector_read(char *line, struct vector *v)
{
	struct address6 prefix;
	__u64 octets[2];
	char *word;

	v->scene = six_scene_make();
	v->family = atoi(strtok(line, " "));
	address_read(octets);
	prefix = (struct address6){ be64_number(octets[0]), be64_number(octets[1]) };
	record6_set_prefix(&v->scene.record, &prefix, number());
	address_read(v->scene.host);
	v->scene.virt = number();
	v->scene.mtu4 = number();
	v->scene.mtu6 = number();
	v->scene.record.lowest_mtu = (uint16_t)number();
	v->any_ident = (int)number();
	octets_read(strtok(NULL, " \n"), &v->in);
	for (v->n_out = 0; (word = strtok(NULL, " \n")); v->n_out++) {
		cr_assert_lt(v->n_out, RESULTS_MAX);
		octets_read(word, &v->out[v->n_out]);
	}
}

/* Replaces an identification that the translator has chosen by 0; the header's checksum must have been right. */
static void ident_clear(struct octets *o)
{
	uint16_t check;

	if (o->size < 20 || o->at[6] & 0x40 || ip_checksum(o->at, 20))
		return;
	memset(o->at + 4, 0, 2);
	memset(o->at + 10, 0, 2);
	check = ip_checksum(o->at, 20);
	memcpy(o->at + 10, &check, sizeof(check));
}

static void octets_print(const char *what, const struct octets *o)
{
	fprintf(stderr, "%s", what);
	for (size_t i = 0; i < o->size && i < 160; i++)
		fprintf(stderr, "%02x", o->at[i]);
	fprintf(stderr, " (%zu)\n", o->size);
}

static bool is_same(const struct octets *a, const struct octets *b)
{
	return a->size == b->size && !memcmp(a->at, b->at, a->size);
}

/* Cuts what came out as the agent would, and compares the pieces. */
static bool pieces_are_same(const struct vector *v, const struct octets *came)
{
	static struct octets piece;
	size_t at = 0;

	for (size_t i = 0; i < v->n_out; i++) {
		piece.size = ip_fragment_next(came->at, came->size, v->scene.record.lowest_mtu, &at, piece.at);
		if (!is_same(&piece, &v->out[i]))
			return false;
	}
	return !ip_fragment_next(came->at, came->size, v->scene.record.lowest_mtu, &at, piece.at);
}

static bool vector_holds(const struct vector *v)
{
	static struct octets came;
	struct six_outcome o =
		six_run(v->family == 6 ? SIX_ENTER : SIX_LEAVE, &v->scene, v->in.at, v->in.size, came.at, &came.size);
	bool holds;

	if (v->any_ident)
		ident_clear(&came);
	if (o.result < 0)
		holds = v->n_out > 1 && pieces_are_same(v, &came);
	else if (o.result > 0)
		holds = !v->n_out;
	else
		holds = v->n_out == 1 && is_same(&came, &v->out[0]);
	if (holds)
		return true;
	fprintf(stderr, "result %d\n", o.result);
	octets_print("in     ", &v->in);
	octets_print("came   ", &came);
	for (size_t i = 0; i < v->n_out; i++)
		octets_print("wanted ", &v->out[i]);
	return false;
}

/* What has become IPv4 becomes again what it was, to the octet; errors do not. */
static bool undone_is_same(const struct vector *v)
{
	static struct octets came;
	struct six_outcome o = six_run(SIX_UNDO, &v->scene, v->in.at, v->in.size, came.at, &came.size);
	bool same = o.is_error ? o.result : !o.result && !memcmp(came.at, v->in.at, came.size) && came.size >= 40;

	if (!same) {
		octets_print("in     ", &v->in);
		octets_print("undone ", &came);
	}
	return same;
}

static const char *env_or(const char *name, const char *value)
{
	const char *set = getenv(name);

	return set ? set : value;
}

Test(six_model, random_packets_become_what_the_model_says)
{
	static struct vector v;
	unsigned n = 0, passed = 0, wrong = 0;
	char command[128], *line = NULL;
	size_t size = 0;
	FILE *f;

	snprintf(command, sizeof(command), "cd tests && exec /usr/bin/python3 -m nat64.vectors %lu %lu",
		 strtoul(env_or("NAT64_SEED", "51"), NULL, 10), strtoul(env_or("NAT64_PACKETS", "2000"), NULL, 10));
	f = popen(command, "r");
	cr_assert_not_null(f, "%s", strerror(errno));
	while (getline(&line, &size, f) > 0) {
		vector_read(line, &v);
		v.scene.out_addr = n; /* no two datagrams compete for an identification */
		n++;
		passed += !!v.n_out;
		if (!vector_holds(&v) || (v.family == 6 && v.n_out && !undone_is_same(&v)))
			wrong++;
		if (wrong == 10)
			break;
	}
	free(line);
	cr_assert(!pclose(f) || wrong, "the model failed");
	cr_assert_eq(wrong, 0, "of %u packets", n);
	cr_assert_gt(passed, n / 3);
}
