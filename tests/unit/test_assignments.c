/* SPDX-License-Identifier: BSD-2-Clause */
/* Assignments of a kind of its own, in real maps of the kernel: its keys are longer than those of any other. */
#include <criterion/criterion.h>

#include <bpf/bpf.h>
#include <stdlib.h>
#include <string.h>

#include "tables/assignments.h"

#define TCP   6U
#define DOORS 16U
/* Directions. */
enum { OUTSIDE, INSIDE, OTHER };

struct door_key {
	uint32_t addr;
	uint16_t port;
	uint8_t proto, tenant;
	uint64_t further;
	uint32_t direction;
	uint32_t pad;
};

struct door_value {
	uint32_t addr;
	uint16_t port, colour;
};

struct door {
	ASSIGNMENT;
	uint16_t colour;
};

struct doors {
	struct assignments table;
	int n;
};

static int map = -1;
static uint8_t present_tenant;
static struct doors *doors;
static unsigned n_missing, n_strays;

static void key_of(const void *record, unsigned direction, void *ret)
{
	const struct door *d = record;
	struct endpoint e = direction == INSIDE ? d->in : d->out;

	*(struct door_key *)ret = (struct door_key){ .addr = e.addr,
						     .port = e.port,
						     .proto = d->proto,
						     .tenant = direction == INSIDE ? d->tenant : 0,
						     .further = UINT64_MAX,
						     .direction = direction };
}

static bool read_door(const void *key, const void *value, void *ret)
{
	const struct door_key *k = key;
	const struct door_value *v = value;
	struct endpoint own = { k->addr, k->port }, other = { v->addr, v->port };
	bool inside = k->direction == INSIDE;

	*(struct door *)ret = (struct door){ .in = inside ? own : other,
					     .out = inside ? other : own,
					     .proto = k->proto,
					     .tenant = k->tenant,
					     .colour = v->colour };
	return v->colour != UINT16_MAX;
}

static bool same_colour(const void *record, const void *read, unsigned direction)
{
	return ((const struct door *)record)->colour == ((const struct door *)read)->colour;
}

static int write_door(const struct assignments *s, const void *record, unsigned direction)
{
	const struct door *d = record;
	struct endpoint e = direction == INSIDE ? d->out : d->in;
	struct door_value value = { e.addr, e.port, d->colour };
	struct door_key key;

	key_of(d, direction, &key);
	return bpf_map_update_elem(map, &key, &value, BPF_ANY);
}

static bool fits(const struct assignments *s, const void *key, void *record)
{
	return ((struct door *)record)->colour;
}

static void count(struct assignments *s, const void *record, int by)
{
	((struct doors *)s)->n += by;
}

static uint8_t tenant_of(const struct assignments *s, const void *record)
{
	return present_tenant;
}

static void missing(const void *record, unsigned direction, bool repaired, struct findings *findings)
{
	n_missing++;
}

static void stray(const void *key, bool repaired, struct findings *findings)
{
	n_strays++;
}

static const struct assignment_kind kind = {
	.one = "a door",
	.many = "doors",
	.all = "the doors",
	.table_size = sizeof(struct doors),
	.size = sizeof(struct door),
	.max = 1000,
	.key_size = sizeof(struct door_key),
	.direction_at = offsetof(struct door_key, direction),
	.direction_bits = 3,
	.inside = INSIDE,
	.key_of = key_of,
	.read = read_door,
	.agrees = same_colour,
	.write = write_door,
	.fits = fits,
	.count = count,
	.tenant = tenant_of,
	.missing = missing,
	.stray = stray,
};

static struct door door(uint32_t in_addr, uint16_t port)
{
	return (struct door){ .in = { in_addr, port }, .out = { 9, port }, .proto = TCP, .tenant = 3, .colour = 7 };
}

static void open_doors(void)
{
	struct error err = { "" };

	doors = (struct doors *)assignments_open(&kind, NULL, map, &err);
	cr_assert(doors, "%s", err.text);
}

static void setup(void)
{
	map = bpf_map_create(BPF_MAP_TYPE_HASH, "doors", sizeof(struct door_key), sizeof(struct door_value), 1000,
			     NULL);
	if (map < 0)
		cr_skip("a map needs root");
	present_tenant = 3;
}

static void teardown(void)
{
	if (doors)
		assignments_close(&doors->table);
}

TestSuite(assignments, .init = setup, .fini = teardown);

static bool has(const struct door *d, unsigned direction)
{
	struct door_key key;
	struct door_value value;

	key_of(d, direction, &key);
	return !bpf_map_lookup_elem(map, &key, &value);
}

static unsigned audit(bool repair)
{
	n_missing = n_strays = 0;
	assignments_audit(&doors->table, repair, &(struct findings){ 0 });
	return n_missing + n_strays;
}

Test(assignments, a_record_is_found_by_either_end_and_in_the_list_of_its_address)
{
	struct door a = door(1, 80), b = door(1, 81), c = door(2, 82);
	const struct assignments *s;
	struct door *first, *second;

	open_doors();
	s = &doors->table;
	b.tenant = 4;
	cr_assert(assignments_add(&doors->table, &a) && assignments_add(&doors->table, &b) &&
		  assignments_add(&doors->table, &c));
	cr_assert_eq(doors->n, 3);
	cr_expect_eq(((struct door *)assignments_find(s, TCP, b.out))->in.port, 81);
	cr_expect_null(assignments_find(s, TCP, (struct endpoint){ 9, 83 }));
	cr_expect_null(assignments_find(s, 17, b.out));
	cr_expect_eq(((struct door *)assignments_inside(s, 4, TCP, b.in))->out.port, 81);
	cr_expect_not_null(assignments_inside(s, 0, TCP, b.in));
	cr_expect_null(assignments_inside(s, 3, TCP, b.in));
	first = assignments_next(s, ASSIGNED_TO, 1, NULL);
	second = assignments_next(s, ASSIGNED_TO, 1, first);
	cr_assert(first && second && first->port_lo + second->port_lo == 161);
	cr_expect_null(assignments_next(s, ASSIGNED_TO, 1, second));
}

Test(assignments, one_that_has_lost_its_address_goes_without_those_that_were_beside_it)
{
	struct door *d[3];

	open_doors();
	for (uint16_t i = 0; i < 3; i++) {
		struct door like = door(1, i + 80);

		d[i] = assignments_add(&doors->table, &like);
		cr_assert(d[i]);
	}
	assignments_leave(&doors->table, d[1]);
	cr_expect_eq(d[1]->in_addr, 0);
	cr_assert_eq(assignments_next(&doors->table, ASSIGNED_TO, 1, NULL), d[2]);
	assignments_del(&doors->table, d[2]);
	assignments_del(&doors->table, d[1]);
	cr_assert_eq(doors->n, 1);
	cr_assert_eq(assignments_next(&doors->table, ASSIGNED_TO, 1, NULL), d[0]);
	cr_expect_null(assignments_next(&doors->table, ASSIGNED_TO, 1, d[0]));
	assignments_del(&doors->table, d[0]);
	cr_assert_null(assignments_next(&doors->table, ASSIGNED_TO, 1, NULL));
}

Test(assignments, halves_of_a_killed_agent_go_and_all_else_is_taken_over)
{
	struct door whole = door(1, 80), outside = door(1, 81), inside = door(1, 82), elsewhere = door(1, 83),
		    invalid = door(1, 84), unfit = door(1, 85), other_colour = door(1, 86);
	struct door *found;

	invalid.colour = UINT16_MAX;
	unfit.colour = 0;
	for (unsigned side = OUTSIDE; side <= INSIDE; side++) {
		write_door(NULL, &whole, side);
		write_door(NULL, side == OUTSIDE ? &outside : &inside, side);
		elsewhere.in.port += (uint16_t)side;
		write_door(NULL, &elsewhere, side);
		write_door(NULL, &invalid, side);
		write_door(NULL, &unfit, side);
		other_colour.colour += (uint16_t)side;
		write_door(NULL, &other_colour, side);
	}
	write_door(NULL, &(struct door){ .out.addr = 5 }, OTHER);
	open_doors();
	cr_assert_eq(doors->n, 1);
	found = assignments_find(&doors->table, TCP, whole.out);
	cr_assert(found && found->tenant == 3 && !found->half && endpoint_equal(found->in, whole.in));
	cr_assert(assignments_has_other(&doors->table, 5) && !assignments_has_other(&doors->table, 6));
	cr_expect(has(&whole, OUTSIDE) && has(&whole, INSIDE));
	cr_expect(!has(&outside, OUTSIDE) && !has(&inside, INSIDE));
	cr_expect(!has(&elsewhere, OUTSIDE) && !has(&elsewhere, INSIDE));
	cr_expect(!has(&invalid, OUTSIDE) && !has(&invalid, INSIDE));
	cr_expect(!has(&unfit, OUTSIDE) && !has(&unfit, INSIDE));
	cr_expect(!has(&other_colour, OUTSIDE) && !has(&other_colour, INSIDE));
	cr_expect_eq(audit(false), 0);
}

/* A kill between the two steps of a change of the tenant leaves the entries of both. */
Test(assignments, of_the_entries_of_two_tenants_that_of_the_present_one_stays)
{
	struct door d[DOORS], former[DOORS];

	for (uint16_t i = 0; i < DOORS; i++) {
		former[i] = d[i] = door(1, 80 + i);
		former[i].tenant = 2;
		write_door(NULL, &d[i], OUTSIDE);
		write_door(NULL, &d[i], INSIDE);
		write_door(NULL, &former[i], INSIDE);
	}
	open_doors();
	for (unsigned i = 0; i < DOORS; i++) {
		cr_assert(has(&d[i], OUTSIDE) && has(&d[i], INSIDE) && !has(&former[i], INSIDE));
		cr_assert_eq(((struct door *)assignments_find(&doors->table, TCP, d[i].out))->tenant, 3);
	}
	present_tenant = 2;
	assignments_settle_tenants(&doors->table);
	for (unsigned i = 0; i < DOORS; i++) {
		cr_assert(has(&d[i], OUTSIDE) && !has(&d[i], INSIDE) && has(&former[i], INSIDE));
		cr_assert_eq(((struct door *)assignments_find(&doors->table, TCP, d[i].out))->tenant, 2);
	}
}

Test(assignments, what_differs_between_map_and_records_is_told_and_repaired)
{
	struct door d = door(1, 80), gone = door(1, 81), unknown = door(2, 82), wrong = d;

	for (unsigned side = OUTSIDE; side <= INSIDE; side++) {
		write_door(NULL, &d, side);
		write_door(NULL, &gone, side);
	}
	open_doors();
	cr_assert_eq(audit(false), 0);
	assignments_erase(&doors->table, &gone, INSIDE);
	cr_assert_eq(audit(false), 1);
	cr_assert_eq(n_missing, 1);
	/* One that leads elsewhere is no stray. */
	wrong.out.port = 4000;
	write_door(NULL, &wrong, INSIDE);
	cr_assert_eq(audit(false), 2);
	cr_assert_eq(n_missing, 2);
	write_door(NULL, &unknown, INSIDE);
	write_door(NULL, &unknown, OUTSIDE);
	write_door(NULL, &(struct door){ .out.addr = 5 }, OTHER);
	cr_assert_eq(audit(true), 5);
	cr_assert_eq(n_strays, 3);
	cr_assert_eq(audit(false), 0);
	cr_assert(has(&gone, INSIDE) && !has(&unknown, INSIDE) && !has(&unknown, OUTSIDE));
}
