/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The programs for subscribers that are IPv6 prefixes, of the hooks that route and send packets themselves: the same
 * steps, by the primitives of the hook. The main programs call the first one of each direction, six_out and six_in; the
 * steps behind are those of ingress_programs.h, compiled for this family. The object defines FAMILY6,
 * PROGRAM(name, function), a tail-called program, and six_out.
 */
#ifndef DETNAT_SIX_PROGRAMS_H
#define DETNAT_SIX_PROGRAMS_H

#include "answer/refuse.h"
#include "answer/reset.h"
#include "icmp/icmp_turned.h"
#include "icmp/icmp_hairpin.h"
#include "icmp/icmp_in.h"
#include "icmp/icmp_out.h"
#include "passage/error6.h"
#include "passage/fast.h"
#include "passage/outwards.h"
#include "slow/turned.h"
#include "slow/hairpin.h"
#include "slow/fragment_turned.h"
#include "slow/open_search.h"
#include "slow/out2in.h"

#define SIX_PROGRAMS                                \
	PROGRAM(six_out_slow, six_out_later)        \
	PROGRAM(six_in, six_in)                     \
	PROGRAM(six_in_slow, six_in_later)          \
	PROGRAM(in2out, in2out)                     \
	PROGRAM(out2in_slow, out2in_slow)           \
	PROGRAM(open, open_session)                 \
	PROGRAM(search, open_search)                \
	PROGRAM(extent, extent_program)             \
	PROGRAM(refuse, refuse_session)             \
	PROGRAM(six_stray, six_stray)               \
	PROGRAM(six_leave, six_leave)               \
	PROGRAM(hairpin, hairpin)                   \
	PROGRAM(six_turned, hairpin_turned)         \
	PROGRAM(icmp_error, six_icmp_error)         \
	PROGRAM(icmp_in, icmp_in)                   \
	PROGRAM(icmp_out, icmp_out)                 \
	PROGRAM(fragment, fragment_in2out)          \
	PROGRAM(fragment_out2in, fragment_out2in)   \
	PROGRAM(tcp_reset, tcp_reset)               \
	PROGRAM(fragment_hairpin, fragment_hairpin) \
	PROGRAM(fragment_turned, fragment_turned)   \
	PROGRAM(icmp_hairpin, icmp_hairpin)         \
	PROGRAM(icmp_turned, icmp_turned)

#endif
