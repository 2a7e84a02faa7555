/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Tail-called programs. The attached XDP programs call the main program of their role through the pinned map `entries`;
 * main programs call the others through `xdp_leaves`, `tc_leaves` and their like, private to each build. PROG_NAME is
 * the function prog_NAME_xdp or prog_NAME_tc; not every hook has every program. Those for IPv6 subscribers are in an
 * object of their own and call each other by `six_leaves`; main programs call the first of a direction, six_out or
 * six_in, which stand in `xdp_leaves`, too.
 */
#ifndef DETNAT_PROGRAMS_H
#define DETNAT_PROGRAMS_H

enum entry { ENTRY_INSIDE, ENTRY_OUTSIDE, ENTRY_BOTH, N_ENTRIES };

#define PROGS(X)            \
	X(in2out)           \
	X(in2out_cached)    \
	X(out2in)           \
	X(out2in_cached)    \
	X(out2in_slow)      \
	X(open)             \
	X(search)           \
	X(refuse)           \
	X(refuse_protocol)  \
	X(icmp_error)       \
	X(icmp_in)          \
	X(icmp_out)         \
	X(icmp_hairpin)     \
	X(hairpin)          \
	X(arp)              \
	X(protocol)         \
	X(protocol_in)      \
	X(fragment)         \
	X(fragment_hairpin) \
	X(fragment_out2in)  \
	X(both)             \
	X(vlan)             \
	X(guard)            \
	X(tcp_reset)        \
	X(in2out_single)    \
	X(out2in_single)    \
	X(inbound)          \
	X(hairpin_inbound)  \
	X(portmap_in)       \
	X(routed_in)        \
	X(routed_inbound)   \
	X(routed_out)       \
	X(icmp_routed)      \
	X(extent)           \
	X(six_out)          \
	X(six_out_slow)     \
	X(six_stray)        \
	X(six_leave)        \
	X(six_turned)       \
	X(turned)           \
	X(six_in)           \
	X(six_in_slow)      \
	X(icmp_turned)      \
	X(fragment_turned)  \
	X(turned_error)     \
	X(six_turned_error) \
	X(turned_inbound)

enum prog {
#define X(name) PROG_##name,
	PROGS(X)
#undef X
		N_PROGS
};

#endif
