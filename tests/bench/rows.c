// SPDX-License-Identifier: BSD-2-Clause
/* What is measured. */
#include "bench.h"

#include <string.h>

#define BOTH	 (BIT(IN) | BIT(OUT) | BIT(OPEN))
#define FRIENDLY (BIT(IN_HOSTS) | BIT(IN_BURSTS) | BIT(OUT_HOSTS) | BIT(OUT_BURSTS))
#define CORES	 (BIT(FLOOR_2) | BIT(IN_2) | BIT(OUT_2) | BIT(CROSS_2) | BIT(MIXED_2))
#define PACED	 (BIT(IN_PACED) | BIT(OUT_PACED))
#define KERNEL	 (BIT(KERNEL_UP) | BIT(KERNEL_TC) | BIT(KERNEL_IN))
#define ANY	 (IN_BENCH | IN_FULL)

/* hosts, their sessions, log2 of the hosts of an outside address (64512 >> it: ports a host), slots a host */
#define SHAPE(h, p, shift, n) .hosts = (h), .sessions = (p), .ratio_shift = (shift), .slots = (n), .mappings = 1
#define VPP(in, out, open)    .vpp_in = (in), .vpp_out = (out), .vpp_open = (open)

/* 63 sessions of each of 4096 hosts, to destinations all over the internet */
#define INTERNET(n) SHAPE(4096, 63, 10, 128), .internet = true, .destinations = (n), .paths = BOTH
#define UNIFORM(n)  INTERNET(n), .mix = MIX_UNIFORM
#define ZIPF(n)	    INTERNET(n), .mix = MIX_ZIPF, .zipf = 1
#define A_MILLION   .routes = 1000000

#define BEYOND(h) SHAPE(h, 63, 9, 8), .ratio = 512, .mix = MIX_LISTED, .paths = BIT(IN) | BIT(OUT)
/* Of each such host: extents of 1 and of 4 buckets, which grew full, and one of 16. */
#define BUCKETS_BEYOND (1 + 4 + 16)

/* Slots are those of `auto` but at 1000 sessions, where they are sized for that many. */
static const struct row rows[] = {
	{ "h1024-p63", "", SHAPE(1024, 63, 10, 128), VPP(74, 77, 653), .runs = IN_QUICK | ANY,
	  .paths = BOTH | FRIENDLY | CORES | BIT(REFUSE) },
	{ "h4096-p63", "", SHAPE(4096, 63, 10, 128), VPP(86, 89, 963), .runs = IN_FULL, .paths = BOTH },
	{ "h16384-p63", "", SHAPE(16384, 63, 10, 128), VPP(168, 184, 976), .runs = ANY,
	  .paths = BOTH | FRIENDLY | CORES },
	{ "h65536-p63", "", SHAPE(65536, 63, 10, 128), VPP(311, 318, 972), .runs = ANY, .paths = BOTH },
	{ "h262144-p63", "", SHAPE(262144, 63, 10, 128), VPP(366, 375, 979), .runs = ANY, .paths = BOTH | FRIENDLY },
	{ "h1048576-p63", "", SHAPE(1048576, 63, 10, 128), .runs = IN_FULL, .paths = BOTH | FRIENDLY },

	{ "h1024-p8", "", SHAPE(1024, 8, 10, 128), VPP(52, 53, 750), .runs = ANY, .paths = BOTH },
	{ "h1024-p126", "", SHAPE(1024, 126, 9, 256), .runs = IN_FULL, .paths = BOTH },
	{ "h1024-p252", "", SHAPE(1024, 252, 8, 512), VPP(108, 109, 680), .runs = IN_FULL, .paths = BOTH },
	{ "h1024-p504", "", SHAPE(1024, 504, 7, 1024), VPP(152, 152, 682), .runs = IN_FULL, .paths = BOTH },
	{ "h1024-p1000", "", SHAPE(1024, 1000, 6, 2048), VPP(285, 289, 751), .runs = ANY, .paths = BOTH,
	  .beside = "h1024-p8" },
	{ "h16384-p126", "", SHAPE(16384, 126, 9, 256), .runs = IN_FULL, .paths = BOTH },
	{ "h16384-p252", "", SHAPE(16384, 252, 8, 512), .runs = IN_FULL, .paths = BOTH },
	{ "h16384-p504", "", SHAPE(16384, 504, 7, 1024), .runs = IN_FULL, .paths = BOTH },

	/* 16,000 hosts each time; but for one mapping, every one has a node of the index to itself. */
	{ "mappings-1", "m1", .hosts = 16000, .sessions = 63, .ratio_shift = 4, .slots = 128, .mappings = 1,
	  .runs = ANY, .paths = BOTH },
	{ "mappings-100", "m100", .hosts = 16000, .sessions = 63, .ratio_shift = 4, .slots = 128, .mappings = 100,
	  .runs = IN_FULL, .paths = BOTH, .beside = "mappings-1" },
	{ "mappings-1000", "m1000", .hosts = 16000, .sessions = 63, .ratio_shift = 4, .slots = 128, .mappings = 1000,
	  .runs = ANY, .paths = BOTH, .beside = "mappings-1" },

	/* As many as there may be, as of a plan whose outside addresses descend; beside h65536-p63. */
	{ "mappings-4096", "m4096", .hosts = 65536, .sessions = 63, .ratio_shift = 4, .slots = 128, .mappings = 4096,
	  .adjoining = true, .runs = ANY, .paths = BOTH, .beside = "h65536-p63" },

	/* Ratios that are no power of two cost what others do: each divides by multiplication. */
	{ "ratio-32", "r32", .hosts = 2112, .sessions = 63, .ratio = 32, .slots = 128, .mappings = 1, .runs = ANY,
	  .paths = BOTH },
	{ "ratio-33", "r33", .hosts = 2112, .sessions = 63, .ratio = 33, .slots = 128, .mappings = 1, .runs = ANY,
	  .paths = BOTH, .beside = "ratio-32" },
	{ "ratio-64", "r64", .hosts = 2112, .sessions = 63, .ratio = 64, .slots = 128, .mappings = 1, .runs = IN_FULL,
	  .paths = BOTH, .beside = "ratio-32" },

	{ "tcp-h1024-p63", "", SHAPE(1024, 63, 10, 128), .tcp = true, .runs = ANY,
	  .paths = BOTH | BIT(CONNECTION) | BIT(REOPENED) },
	{ "tcp-h16384-p63", "", SHAPE(16384, 63, 10, 128), .tcp = true, .runs = IN_FULL,
	  .paths = BOTH | BIT(CONNECTION) | BIT(REOPENED) },

	{ "kernel-h1024-p63", "kernel", SHAPE(1024, 63, 10, 128), .runs = IN_FULL, .paths = BOTH | KERNEL },
	{ "kernel-h16384-p63", "kernel", SHAPE(16384, 63, 10, 128), .runs = IN_FULL, .paths = BOTH | KERNEL },

	{ "mix-uniform", "d100", SHAPE(4096, 63, 10, 128), .mix = MIX_UNIFORM, .destinations = 100, .runs = ANY,
	  .paths = BOTH },
	{ "mix-zipf", "zipf", SHAPE(4096, 100, 10, 128), .mix = MIX_ZIPF, .destinations = 50, .zipf = 1.3, .runs = ANY,
	  .paths = BOTH },

	/* What subscribers can have beside plain sessions: see features.c. */
	{ "portmap-h1024", "portmaps", SHAPE(1024, 63, 10, 128), .feature = FEATURE_PORTMAPPED, .runs = ANY,
	  .paths = BIT(IN) | BIT(OUT), .beside = "h1024-p63" },
	{ "portmap-h64", "portmaps", SHAPE(64, 63, 6, 128), .feature = FEATURE_PORTMAPPED, .runs = ANY,
	  .paths = BIT(IN) | BIT(OUT), .beside = "h1024-p63" },
	{ "open-h1024", "open", SHAPE(1024, 63, 0, 0), .feature = FEATURE_OPEN, .runs = ANY,
	  .paths = BIT(IN) | BIT(OUT), .beside = "h1024-p63" },
	{ "eim-h1024-p63", "eim", SHAPE(1024, 63, 10, 128), .feature = FEATURE_ONE_PORT, .runs = ANY, .paths = BOTH,
	  .beside = "h1024-p63" },
	{ "growth-h1024-p63", "growth", SHAPE(1024, 63, 10, 128), .feature = FEATURE_GROWTH, .runs = ANY, .paths = BOTH,
	  .beside = "h1024-p63" },
	/* Eight sessions of each in slots, the others beyond them: on ports of the block, and on granted ports. */
	{ "beyond-h1024-p63", "beyond", BEYOND(1024), .runs = ANY, .beside = "h1024-p63" },
	{ "granted-h1024-p63", "granted", BEYOND(1024), .ports = 8, .feature = FEATURE_GRANTED, .runs = ANY,
	  .beside = "h1024-p63" },
	{ "beyond-h65536-p63", "beyond", BEYOND(65536), .extent_buckets = 65536 * BUCKETS_BEYOND, .runs = ANY,
	  .beside = "h65536-p63" },
	{ "granted-h65536-p63", "granted", BEYOND(65536), .extent_buckets = 65536 * BUCKETS_BEYOND, .ports = 8,
	  .feature = FEATURE_GRANTED, .runs = ANY, .beside = "h65536-p63" },
	{ "limits-h1024-p63", "limits", SHAPE(1024, 63, 10, 128), .feature = FEATURE_LIMITS, .runs = ANY, .paths = BOTH,
	  .beside = "h1024-p63" },
	{ "tenants-h1024-p63", "tenants", SHAPE(1024, 63, 10, 128), .feature = FEATURE_TENANTS, .runs = ANY,
	  .paths = BOTH, .beside = "h1024-p63" },
	/* IPv6 subscribers of four hosts each, against as many of IPv4. */
	{ "nat64-h1024-p63", "nat64", SHAPE(1024, 63, 10, 128), .feature = FEATURE_SIX, .runs = ANY, .paths = BOTH,
	  .beside = "h1024-p63" },
	{ "nat64-h16384-p63", "nat64", SHAPE(16384, 63, 10, 128), .feature = FEATURE_SIX, .runs = ANY, .paths = BOTH,
	  .beside = "h16384-p63" },
	{ "nat64-h65536-p63", "nat64", SHAPE(65536, 63, 10, 128), .feature = FEATURE_SIX, .runs = ANY, .paths = BOTH,
	  .beside = "h65536-p63" },
	{ "beside-nat64-h1024-p63", "beside-nat64", SHAPE(1024, 63, 10, 128), .feature = FEATURE_BESIDE_SIX,
	  .runs = ANY, .paths = BOTH, .beside = "h1024-p63" },
	{ "beside-portmap-h1024-p63", "portmap", SHAPE(1024, 63, 9, 128), .feature = FEATURE_PORTMAPS, .runs = ANY,
	  .paths = BOTH, .beside = "h1024-p63" },
	{ "portmaps-of-others-h1024-p63", "others", SHAPE(1024, 63, 10, 128), .feature = FEATURE_PORTMAPS_ELSEWHERE,
	  .runs = ANY, .paths = BOTH, .beside = "h1024-p63" },

	/* The kernel is asked for routes. */
	{ "no-agent-h1024-p63", "no-agent", SHAPE(1024, 63, 10, 128), .feature = FEATURE_NO_AGENT, .runs = ANY,
	  .paths = BOTH, .beside = "h1024-p63" },
	{ "no-agent-h16384-p63", "no-agent", SHAPE(16384, 63, 10, 128), .feature = FEATURE_NO_AGENT, .runs = ANY,
	  .paths = BOTH, .beside = "h16384-p63" },
	{ "vrf-h1024-p63", "vrf", SHAPE(1024, 63, 10, 128), .feature = FEATURE_VRF, .runs = ANY, .paths = BOTH,
	  .beside = "h1024-p63" },
	{ "rules-h1024-p63", "rules", SHAPE(1024, 63, 10, 128), .feature = FEATURE_RULES, .runs = ANY, .paths = BOTH,
	  .beside = "h1024-p63" },

	{ "paced-h65536", "paced", SHAPE(65536, 63, 10, 128), .runs = ANY, .paths = PACED },

	{ "dest-1", "d1", UNIFORM(1), .runs = ANY },
	{ "dest-100", "d100-spread", UNIFORM(100), .runs = IN_FULL, .beside = "dest-1" },
	{ "dest-10k", "d10k", UNIFORM(10000), .runs = IN_FULL, .beside = "dest-1" },
	{ "dest-100k", "d100k", UNIFORM(100000), .runs = ANY, .beside = "dest-1" },
	{ "dest-100k-zipf", "d100k-zipf", ZIPF(100000), .runs = ANY, .beside = "dest-1" },
	{ "dest-1-routes-1m", "d1-r1m", UNIFORM(1), A_MILLION, .runs = ANY, .beside = "dest-1" },
	{ "dest-100-routes-1m", "d100-r1m", UNIFORM(100), A_MILLION, .runs = IN_FULL, .beside = "dest-1" },
	{ "dest-10k-routes-1m", "d10k-r1m", UNIFORM(10000), A_MILLION, .runs = IN_FULL, .beside = "dest-1" },
	{ "dest-100k-routes-1m", "d100k-r1m", UNIFORM(100000), A_MILLION, .runs = IN_FULL, .beside = "dest-1" },
	{ "dest-100k-zipf-routes-1m", "d100k-zipf-r1m", ZIPF(100000), A_MILLION, .runs = IN_FULL, .beside = "dest-1" },
};

const struct row *row_get(unsigned n)
{
	return n < ARRAY_SIZE(rows) ? &rows[n] : NULL;
}

const struct row *row_beside(const struct row *r)
{
	for (size_t i = 0; r->beside && i < ARRAY_SIZE(rows); i++)
		if (!strcmp(rows[i].name, r->beside))
			return &rows[i];
	return NULL;
}

const char *row_csit_name(const struct row *r, char text[static ROW_NAME])
{
	snprintf(text, ROW_NAME, "ethip4%s-nat44det-h%u-p%u-s%lu%s%s", r->tcp ? "tcp" : "udp", r->hosts, r->sessions,
		 row_sessions(r), *r->suffix ? "-" : "", r->suffix);
	return text;
}
