// SPDX-License-Identifier: BSD-2-Clause
/* Records of mappings of layout 6, in which all follows from two prefixes, become those of this layout. */
#include <bpf/btf.h>
#include <criterion/criterion.h>
#include <string.h>

#include "datapath/datapath.h"
#include "datapath/migration_private.h"

struct geometry6 {
	uint32_t in_base;
	uint32_t out_base;
	uint8_t in_plen;
	uint8_t out_plen;
	uint8_t ratio_shift;
	uint8_t flags;
	uint32_t ports_per_host;
	uint64_t ports_inverse;
};

struct mapping6 {
	struct geometry6 geo;
	uint64_t bindings;
	uint32_t first_bucket;
	uint32_t first_subscriber;
	uint32_t sessions_per_user;
	uint32_t bucket_shift;
	uint32_t timeout_ticks[N_TIMEOUTS];
};
_Static_assert(sizeof(struct mapping6) == 64, "as it was");

/* Numbers of types in a BTF that both sides have. */
enum { U8 = 1, U16, U32, U64 };

static struct btf *integers(void)
{
	struct btf *btf = btf__new_empty();

	cr_assert_eq(btf__add_int(btf, "unsigned char", 1, 0), U8);
	cr_assert_eq(btf__add_int(btf, "unsigned short", 2, 0), U16);
	cr_assert_eq(btf__add_int(btf, "unsigned int", 4, 0), U32);
	cr_assert_eq(btf__add_int(btf, "unsigned long", 8, 0), U64);
	return btf;
}

struct member {
	const char *name;
	int type;
	size_t offset;
};

static int add(struct btf *btf, const char *name, size_t size, const struct member *m, size_t n)
{
	int id = btf__add_struct(btf, name, (uint32_t)size);

	for (size_t i = 0; i < n; i++)
		cr_assert_eq(btf__add_field(btf, m[i].name, m[i].type, (uint32_t)m[i].offset * 8, 0), 0);
	return id;
}

#define MEMBER(type, name, kind)                  \
	{                                         \
#name, kind, offsetof(type, name) \
	}
#define ADD(btf, name, type, ...)                                            \
	add(btf, name, sizeof(type), (const struct member[]){ __VA_ARGS__ }, \
	    sizeof((const struct member[]){ __VA_ARGS__ }) / sizeof(struct member))

static void add_table(struct btf *btf, int mapping, size_t size)
{
	int list = btf__add_array(btf, U32, mapping, MAX_MAPPINGS);
	const struct member m = { "mapping", list, 0 };

	cr_assert_gt(add(btf, "mapping_table", size * MAX_MAPPINGS, &m, 1), 0);
}

static struct btf *layout6(void)
{
	struct btf *btf = integers();
	int geo = ADD(btf, "geometry", struct geometry6, MEMBER(struct geometry6, in_base, U32),
		      MEMBER(struct geometry6, out_base, U32), MEMBER(struct geometry6, in_plen, U8),
		      MEMBER(struct geometry6, out_plen, U8), MEMBER(struct geometry6, ratio_shift, U8),
		      MEMBER(struct geometry6, flags, U8), MEMBER(struct geometry6, ports_per_host, U32),
		      MEMBER(struct geometry6, ports_inverse, U64));
	int mapping = ADD(btf, "mapping", struct mapping6, MEMBER(struct mapping6, geo, geo),
			  MEMBER(struct mapping6, first_bucket, U32), MEMBER(struct mapping6, first_subscriber, U32),
			  MEMBER(struct mapping6, sessions_per_user, U32), MEMBER(struct mapping6, bucket_shift, U32));

	add_table(btf, mapping, sizeof(struct mapping6));
	return btf;
}

static struct btf *layout_now(void)
{
	struct btf *btf = integers();
	int geo = ADD(btf, "geometry", struct geometry, MEMBER(struct geometry, in_base, U32),
		      MEMBER(struct geometry, last_subscriber, U32), MEMBER(struct geometry, out_base, U32),
		      MEMBER(struct geometry, ports_inverse, U32), MEMBER(struct geometry, ports_per_host, U16),
		      MEMBER(struct geometry, flags, U8), MEMBER(struct geometry, in_plen, U8),
		      MEMBER(struct geometry, out_plen, U8), MEMBER(struct geometry, ratio_shift, U8));
	int mapping = ADD(btf, "mapping", struct mapping, MEMBER(struct mapping, geo, geo),
			  MEMBER(struct mapping, first_bucket, U32), MEMBER(struct mapping, first_subscriber, U32),
			  MEMBER(struct mapping, bucket_shift, U32), MEMBER(struct mapping, sessions_per_user, U32));

	add_table(btf, mapping, sizeof(struct mapping));
	return btf;
}

Test(migration_mappings, records_of_layout_6_become_those_of_this_one)
{
	static struct mapping6 old[MAX_MAPPINGS];
	static struct mapping_table table;
	struct btf *now = layout_now();
	struct migration m = { .from = layout6(), .to = now, .table = old };
	struct geometry wanted;

	old[0] = (struct mapping6){ .geo = { 0x0a000000, 0xcb007100, 18, 28, 10, MAPPING_SUCCEEDS, 63, 7 },
				    .first_bucket = 64,
				    .first_subscriber = 3,
				    .sessions_per_user = 77,
				    .bucket_shift = 3 };
	old[2] = (struct mapping6){ .geo = { .in_base = 0x0b000000, .in_plen = 24, .out_plen = PLEN_NONE },
				    .first_bucket = NO_BUCKETS };
	old[3] = (struct mapping6){ .geo = { 0x0c000001, 0xcb007201, 32, 32, 0, MAPPING_OPEN, 64512, 7 },
				    .first_bucket = NO_BUCKETS };
	/* No mapping has these ports. */
	old[4] = (struct mapping6){ .geo = { 0x0d000000, 0xcb007300, 24, 30, 6, 0, 1007, 7 } };
	cr_assert(migration_geometry_fits(&m));
	cr_assert_eq(migration_copy_mappings(&m, &table), 0);

	cr_assert_eq(mapping_geometry(0x0a000000, 18, 0xcb007100, 28, &wanted), 0);
	wanted.flags = MAPPING_SUCCEEDS;
	cr_expect_eq(memcmp(&table.mapping[0].geo, &wanted, sizeof(wanted)), 0);
	cr_expect_eq(table.mapping[0].first_bucket, 64);
	cr_expect_eq(table.mapping[0].first_subscriber, 3);
	cr_expect_eq(table.mapping[0].sessions_per_user, 77);
	cr_expect_eq(table.mapping[0].bucket_shift, 3);
	cr_expect(mapping_record_valid(&table.mapping[0]));
	cr_expect_not(mapping_record_valid(&table.mapping[1]));
	cr_expect(mapping_record_valid(&table.mapping[2]));
	cr_expect_eq(table.mapping[2].geo.last_subscriber, 255);
	cr_expect(mapping_record_valid(&table.mapping[3]));
	cr_expect_eq(table.mapping[3].geo.flags, MAPPING_OPEN);
	cr_expect_not(mapping_record_valid(&table.mapping[4]));
	btf__free(m.from);
	btf__free(now);
}

Test(migration_mappings, records_of_this_layout_stay_as_they_are)
{
	struct btf *now = layout_now();
	struct migration m = { .from = layout_now(), .to = now };

	cr_expect_not(migration_geometry_fits(&m));
	btf__free(m.from);
	btf__free(now);
}
