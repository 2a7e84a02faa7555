/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Every way a packet can leave the datapath, and every packet that detnat sends itself: X(name, text for operators). A
 * counter of that name is shown by `detnatctl stats`, in the metrics, and by `bpftool map dump` of the map `counters`.
 * At each hook that it crosses, a packet is counted under exactly one reason of the first list.
 */
#ifndef DETNAT_REASONS_H
#define DETNAT_REASONS_H

#include <linux/types.h>

#define REASONS(X)                                                                                           \
	X(in2out_translated, "translated from inside to outside")                                            \
	X(out2in_translated, "translated from outside to inside")                                            \
	X(hairpin_translated, "translated between two inside hosts")                                         \
	X(icmp_error_translated, "ICMP error translated with its quote")                                     \
	X(passed_untranslated, "not for translation, handed to the kernel as it came")                       \
	X(drop_quota, "subscriber at its session quota")                                                     \
	X(drop_quota_protocol, "subscriber at the limit of sessions of this protocol")                       \
	X(drop_rate, "subscriber has opened as many sessions per second as it may")                          \
	X(drop_ports_exhausted, "no free port in the subscriber's block for this destination")               \
	X(drop_growth_exhausted, "no free port, and no further block of the shared range to be had")         \
	X(drop_overflow_full, "no room for sessions beyond the subscriber's slots")                          \
	X(drop_hosts, "no free number for a further host of the subscriber")                                 \
	X(drop_no_session, "from outside, of no session")                                                    \
	X(drop_inbound_limit, "from outside to a bound port, beyond the sessions that the outside may open") \
	X(drop_inbound_quota, "from outside to a bound port, of a subscriber at its session quota")          \
	X(drop_inbound_slots, "from outside to a bound port, with no slot left for the session")             \
	X(drop_portmap_filter, "to a portmap whose filters leave the sender out")                            \
	X(drop_no_mapping, "source in no mapping")                                                           \
	X(drop_spoofed, "source in no mapping, not routed back by the interface it came in by")              \
	X(drop_tenant, "from one tenant to the inside of another, or with its address")                      \
	X(drop_malformed, "malformed packet")                                                                \
	X(drop_martian, "address that must not be there")                                                    \
	X(drop_protocol, "protocol that is not translated")                                                  \
	X(drop_fragment, "fragment that cannot be translated")                                               \
	X(drop_fragment_overlap, "fragment that overlaps another, or came before")                           \
	X(drop_fragment_tiny, "first fragment without the whole transport header, or the one quoted")        \
	X(drop_fragment_endless, "fragment that ends beyond 65535 octets")                                   \
	X(drop_fragment_limit, "one of too many fragments")                                                  \
	X(drop_fragment_sum, "UDP fragment without checksum, to an IPv6 subscriber")                         \
	X(drop_busy, "another core was opening a session, or too many searches for a port")                  \
	X(drop_direct_to_inside, "from outside straight to an inside address")                               \
	X(drop_guard_out, "inside address that would have left untranslated, stopped by the guard")          \
	X(drop_guard_in, "straight to an inside address by an unguarded interface, stopped by the guard")    \
	X(drop_source_route, "IP option that lays down the route")                                           \
	X(drop_address_option, "IP option that records or lists addresses")                                  \
	X(drop_own_error, "ICMP error of the gateway itself that would show an inside address")              \
	X(drop_unresolved, "neighbour not resolved yet; the agent was asked to")                             \
	X(drop_ttl, "TTL ran out, answered with ICMP time exceeded")                                         \
	X(drop_too_big, "longer than the MTU with DF set, answered with ICMP fragmentation needed")          \
	X(drop_unreachable, "no route to the destination, or none by an inside interface")                   \
	X(drop_error, "the packet could not be rewritten")                                                   \
	X(drop_stage2, "waited for the second stage, which was missing or did not know it")                  \
	X(arp_answered, "ARP request for a pool address answered")                                           \
	X(no_program, "the program was missing; handed to the kernel, or dropped at egress")

#define SENT_KINDS(X)                                                              \
	X(sent_icmp_unreachable, "ICMP destination unreachable sent")              \
	X(sent_icmp_protocol, "ICMP protocol unreachable sent")                    \
	X(sent_icmp_ttl, "ICMP time exceeded sent")                                \
	X(sent_icmp_too_big, "ICMP fragmentation needed sent")                     \
	X(sent_icmp_parameter, "ICMPv6 parameter problem sent")                    \
	X(sent_icmp_port, "ICMP port unreachable sent for a TCP SYN from outside") \
	X(sent_tcp_reset, "TCP reset sent for a segment from outside, of no session")

/* Counters of the datapath's own activity, not of packets. */
#define INCIDENTS(X)                                                                            \
	X(sessions_opened, "sessions opened")                                                   \
	X(sessions_overflowed, "sessions opened beyond the subscriber's slots")                 \
	X(sessions_inbound, "sessions opened from outside, by endpoint-independent filtering")  \
	X(icmp_withheld, "ICMP errors and TCP resets not sent, as all together may be no more") \
	X(fragments_parked, "fragments kept until their first one comes")                       \
	X(events_lost, "events that found the ring buffer full")                                \
	X(portmap_in, "packets that came to a portmap, also counted as translated")             \
	X(portmap_out, "packets that left by a portmap, also counted as translated")            \
	X(redirect_errors, "redirected frames that the kernel or the other device refused")     \
	X(redirect_unresolved, "packets sent while the kernel asks for the address of their next hop")

/* Octets of translated IP packets, including headers; in the order of their reasons. */
#define VOLUMES(X)                                                                           \
	X(in2out_octets, "octets translated from inside to outside, IP headers included")    \
	X(out2in_octets, "octets translated from outside to inside, IP headers included")    \
	X(hairpin_octets, "octets translated between two inside hosts, IP headers included") \
	X(icmp_error_octets, "octets of ICMP errors translated, IP headers included")

enum reason {
#define X(name, text) REASON_##name,
	REASONS(X) SENT_KINDS(X) INCIDENTS(X) VOLUMES(X)
#undef X
		N_REASONS
};

/* Value of the per-core map `counters`, indexed by enum reason; the fields have names for readable dumps. */
struct counters {
#define X(name, text) __u64 name;
	REASONS(X) SENT_KINDS(X) INCIDENTS(X) VOLUMES(X)
#undef X
};
_Static_assert(sizeof(struct counters) == N_REASONS * sizeof(__u64), "counters mirror enum reason");

/* Context of the program `agent_count`, with which the agent adds n to a counter. reason: enum reason. */
struct agent_count {
	__u32 reason;
	__u32 n;
};

#endif
