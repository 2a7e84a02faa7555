/* SPDX-License-Identifier: BSD-2-Clause */
/* Converts the record of a traced packet, which is all numbers, to JSON with names. */
#include <linux/if_ether.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <string.h>

#include <detnat/programs.h>
#include <detnat/reasons.h>
#include <detnat/session.h>
#include <detnat/tcp_state.h>

#include "base/timestamp.h"
#include "base/virtual6.h"
#include "proto/reason_texts.h"
#include "proto/words.h"
#include "punt/trace_frames.h"
#include "punt/tracing.h"
#include "sessions/sessions.h"

#define DETAIL 128

static const char *const step_names[N_TRACE_STEPS] = {
#define X(name, text) [TRACE_##name] = text,
	TRACE_STEPS(X)
#undef X
};

static const char *const leaf_names[N_PROGS] = {
#define X(name) [PROG_##name] = #name,
	PROGS(X)
#undef X
};

/* The name of the last step is the packet's fate. */
static const char *const fate_names[] = {
	[TRACE_DROPPED] = "dropped",
	[TRACE_TO_KERNEL] = "to-kernel",
	[TRACE_SENT] = "sent",
};

static const char *interface_name(uint32_t ifindex, char text[static IF_NAMESIZE])
{
	/* The interface may have gone since. */
	if (!if_indextoname(ifindex, text))
		snprintf(text, IF_NAMESIZE, "if%u", ifindex % 1000000);
	return text;
}

/* Adds to a text that has room for DETAIL octets. */
static void __attribute__((format(printf, 2, 3))) append(char *text, const char *format, ...)
{
	size_t n = strlen(text);
	va_list ap;

	va_start(ap, format);
	vsnprintf(text + n, DETAIL - n, format, ap);
	va_end(ap);
}

static void tcp_flags(uint8_t flags, char *text)
{
	static const char *const names[] = { "FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR" };

	for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
		if (flags & 1U << i)
			append(text, " %s", names[i]);
}

static void append_addresses(char *text, const char *before, uint64_t both)
{
	char src[INSIDE_TEXT], dst[INSIDE_TEXT];

	append(text, "%s%s > %s", before, addr_format((uint32_t)(both >> 32), src), addr_format((uint32_t)both, dst));
}

static const char *endpoint_text(uint32_t addr, unsigned port, char text[static INSIDE_TEXT + 10])
{
	char inside[INSIDE_TEXT];

	snprintf(text, INSIDE_TEXT + 10, virtual6_is(addr) ? "[%s]:%u" : "%s:%u", inside_text(addr, inside), port);
	return text;
}

/* The packet that an ICMP error quotes. */
static void append_quote(char *text, const struct trace_step *s)
{
	char src[INSIDE_TEXT + 10], dst[INSIDE_TEXT + 10];

	if (s->a)
		append(text, "%squotes %s > %s", *text ? ", " : "",
		       endpoint_text((uint32_t)(s->a >> 32), (unsigned)(s->b >> 16 & 0xffff), src),
		       endpoint_text((uint32_t)s->a, (unsigned)(s->b & 0xffff), dst));
}

static void detail_packet(const struct trace_record *r, char *text)
{
	const char *proto = word_text(proto_words, r->proto);
	unsigned offset = (r->fragment & 0x1fffU) * 8;
	bool ipv6 = r->ether_type == ETH_P_IPV6;

	for (unsigned i = 0; i < r->n_tags && i < ARRAY_SIZE(r->vlan); i++)
		append(text, "VLAN %u, ", r->vlan[i]);
	if (r->ether_type == ETH_P_ARP) {
		append(text, "ARP");
		return;
	}
	if (r->ether_type != ETH_P_IP && !r->six[0].virt) {
		append(text, "Ethernet type 0x%04x, %u octets", r->ether_type, r->length);
		return;
	}
	if (ipv6 && r->proto == IPPROTO_ICMP)
		append(text, "icmpv6");
	else if (proto)
		append(text, "%s", proto);
	else
		append(text, "protocol %u", r->proto);
	if (!offset && r->proto == IPPROTO_TCP)
		tcp_flags(r->tcp_flags, text);
	if (!offset && r->proto == IPPROTO_ICMP)
		append(text, " type %u code %u", r->icmp_type, r->icmp_code);
	append(text, ", %u octets, %s %u", r->ip_length, ipv6 ? "hop limit" : "TTL", r->ttl);
	if (offset || r->fragment & 0x2000)
		append(text, ", fragment at %u%s", offset, r->fragment & 0x2000 ? ", more follow" : "");
}

static void detail_subscriber(const struct trace *t, const struct trace_step *s, char *text)
{
	const char *tenant = trace_tenant(t, trace_step_tenant(s));
	char in[INSIDE_TEXT], out[INSIDE_TEXT];

	append(text, "%s%s%s has %s:%u-%u%s", inside_text((uint32_t)(s->a >> 32), in), *tenant ? " of " : "", tenant,
	       addr_format((uint32_t)s->a, out), (unsigned)(s->b >> 16 & 0xffff), (unsigned)(s->b & 0xffff),
	       s->b >> 32 & 1 ? ", which drains" : "");
}

static void detail_next_hop(const struct trace_step *s, char *text)
{
	char name[IF_NAMESIZE];

	interface_name((uint32_t)(s->a >> 32), name);
	switch ((uint32_t)s->a) {
	case TRACE_HOP_OUT:
	case TRACE_HOP_OUT_TAGGED:
		append(text, "outside, by %s, MTU %u", name, (unsigned)s->b);
		break;
	case TRACE_HOP_OUT_KERNEL:
		append(text, "outside, by %s, through the kernel", name);
		break;
	case TRACE_HOP_POOL:
		append(text, "a pool address");
		break;
	case TRACE_HOP_LOCAL:
		append(text, "the gateway itself, or nobody");
		break;
	default:
		append(text, "not outside, or a destination of bypass");
	}
}

static void detail_way_in(const struct trace_step *s, char *text)
{
	char name[IF_NAMESIZE];

	switch ((uint32_t)s->a) {
	case TRACE_EGRESS_READY:
		append(text, "inside, by %s, MTU %u", interface_name((uint32_t)(s->a >> 32), name), (unsigned)s->b);
		break;
	case TRACE_EGRESS_UNRESOLVED:
		append(text, "inside, its neighbour not resolved");
		break;
	default:
		append(text, "inside, through the kernel");
	}
}

static void detail_session(const struct trace_step *s, char *text)
{
	append(text, "%s", session_state_name(word_state(s->a)));
	if (s->b && word_state(s->b) != word_state(s->a))
		append(text, " to %s", session_state_name(word_state(s->b)));
	append(text, ", outside port %u", word_out_port(s->a));
}

static void detail_of(const struct trace *t, const struct trace_record *r, const struct trace_step *s, char *text)
{
	char name[IF_NAMESIZE], addr[INSIDE_TEXT];

	*text = '\0';
	switch (s->kind) {
	case TRACE_received:
		detail_packet(r, text);
		append_quote(text, s);
		break;
	case TRACE_rewritten:
		append_quote(text, s);
		break;
	case TRACE_subscriber:
		detail_subscriber(t, s, text);
		break;
	case TRACE_next_hop:
		detail_next_hop(s, text);
		break;
	case TRACE_egress:
		detail_way_in(s, text);
		break;
	case TRACE_session:
		detail_session(s, text);
		break;
	case TRACE_opened:
		append(text, "outside port %u", (unsigned)s->a);
		break;
	case TRACE_portmap:
		append(text, "of %s:%u", inside_text((uint32_t)(s->a >> 32), addr), (unsigned)(uint16_t)s->a);
		break;
	case TRACE_datagram:
		append_addresses(text, s->b ? "as its first fragment: " : "those that follow: ", s->a);
		break;
	case TRACE_mss_clamped:
		append(text, "%u to %u", (unsigned)s->a, (unsigned)s->b);
		break;
	case TRACE_untagged:
		append(text, "as by %s", interface_name((uint32_t)s->a, name));
		break;
	case TRACE_withheld:
		append(text, "%s", reason_texts[REASON_icmp_withheld].text);
		break;
	case TRACE_answered:
		append(text, "%s", s->a < N_REASONS ? reason_texts[s->a].text : "");
		break;
	case TRACE_redirect:
	case TRACE_agent:
		append(text, "by %s", interface_name((uint32_t)s->a, name));
		break;
	}
}

static const char *octets_text(const __u64 octets[2], char text[static INSIDE_TEXT])
{
	const struct address6 a = { be64_number(octets[0]), be64_number(octets[1]) };

	return address6_text(&a, text);
}

/*
 * An address at a step: of an IPv6 subscriber the programs see the virtual address. Of a packet that came from inside
 * and goes there, the sender is the host of the first packet, the receiver that of the last.
 */
static const char *address_at(const struct trace_record *r, const struct trace_step *s, bool source,
			      char text[static INSIDE_TEXT])
{
	uint32_t addr = source ? s->src : s->dst;
	const struct trace_six *six = trace_step_six(r, s);

	if (six)
		return octets_text(addr == six->virt ? six->host : six->ext, text);
	for (unsigned i = 0; virtual6_is(addr) && i < ARRAY_SIZE(r->six); i++)
		if (r->six[i ^ !source].virt == addr)
			return octets_text(r->six[i ^ !source].host, text);
	return inside_text(addr, text);
}

static bool add_endpoint(cJSON *object, const char *name, const struct trace_record *r, const struct trace_step *s,
			 bool source)
{
	char text[INSIDE_TEXT + 10], addr[INSIDE_TEXT];

	address_at(r, s, source, addr);
	snprintf(text, sizeof(text), strchr(addr, ':') ? "[%s]:%u" : "%s:%u", addr, source ? s->sport : s->dport);
	return cJSON_AddStringToObject(object, name, text);
}

/* Of an IPv6 subscriber's packet, whose it is and to or from where: as sessions have it. */
static bool add_six(cJSON *json, const struct trace_record *r)
{
	const struct trace_six *six = r->six[0].virt ? &r->six[0] : &r->six[1];
	char text[INSIDE_TEXT];

	return !six->virt ||
	       (cJSON_AddStringToObject(json, "in_addr", octets_text(six->host, text)) &&
		cJSON_AddStringToObject(json, "in_prefix", inside_text(six->virt, text)) &&
		(!six->addr || (cJSON_AddStringToObject(json, "ext_addr", addr_format(six->addr, text)) &&
				cJSON_AddStringToObject(json, "ext_addr6", octets_text(six->ext, text)))));
}

/* A tail call is named for its program, with - for _. */
static const char *step_name(const struct trace_record *r, const struct trace_step *s, char text[static DETAIL])
{
	if (s->kind == TRACE_end)
		return fate_names[trace_fate(r, s->a)];
	if (s->kind != TRACE_tail_call || s->a >= N_PROGS)
		return s->kind < N_TRACE_STEPS ? step_names[s->kind] : "unknown";
	snprintf(text, DETAIL, "%s", leaf_names[s->a]);
	for (char *c = text; *c; c++)
		if (*c == '_')
			*c = '-';
	return text;
}

/* Each tail-called program parses the packet again, which repeats steps of the one before it. */
static bool is_repeated(const struct trace_record *r, unsigned n)
{
	const struct trace_step *s = &r->step[n];

	if (s->kind != TRACE_subscriber && s->kind != TRACE_next_hop && s->kind != TRACE_egress)
		return false;
	for (unsigned i = 0; i < n; i++)
		if (r->step[i].kind == s->kind && r->step[i].a == s->a && r->step[i].b == s->b)
			return true;
	return false;
}

static bool add_step(cJSON *steps, const struct trace *t, const struct trace_record *r, const struct trace_step *s)
{
	cJSON *json = cJSON_CreateObject();
	char detail[DETAIL], name[DETAIL];

	if (!cJSON_AddItemToArray(steps, json)) {
		cJSON_Delete(json);
		return false;
	}
	detail_of(t, r, s, detail);
	return cJSON_AddStringToObject(json, "step", step_name(r, s, name)) && add_endpoint(json, "src", r, s, true) &&
	       add_endpoint(json, "dst", r, s, false) && cJSON_AddNumberToObject(json, "ns", s->elapsed_ns) &&
	       (!*detail || cJSON_AddStringToObject(json, "detail", detail));
}

/* The fast path makes no tail call, but the one to that of IPv6 subscribers. */
static bool took_slow_path(const struct trace_record *r)
{
	for (unsigned i = 0; i < r->n_steps; i++)
		if (r->step[i].kind == TRACE_tail_call && r->step[i].a != PROG_six_in && r->step[i].a != PROG_six_out)
			return true;
	return r->hook != TRACE_HOOK_XDP;
}

static bool add_time(cJSON *json, uint64_t time_ns)
{
	char text[TIME_US_TEXT];

	return cJSON_AddStringToObject(json, "time", time_format_us(time_ns, text));
}

static const char *hook_name(uint8_t hook)
{
	return hook == TRACE_HOOK_XDP ? "xdp" : hook == TRACE_HOOK_INGRESS ? "ingress" : "tc";
}

static bool fill(cJSON *json, const struct trace *t, const struct trace_record *r)
{
	const char *verdict = r->reason < N_REASONS ? reason_texts[r->reason].name : "none";
	const char *meaning = r->reason < N_REASONS ? reason_texts[r->reason].text : "no exit was counted";
	const char *tenant = trace_tenant(t, r->tenant);
	char name[IF_NAMESIZE];
	cJSON *steps;
	bool ok = add_time(json, r->time_ns) &&
		  cJSON_AddStringToObject(json, "interface", interface_name(r->ifindex, name)) &&
		  cJSON_AddStringToObject(json, "hook", hook_name(r->hook)) &&
		  (!*tenant || cJSON_AddStringToObject(json, "tenant", tenant)) &&
		  cJSON_AddStringToObject(json, "path", took_slow_path(r) ? "slow" : "quick") &&
		  cJSON_AddNumberToObject(json, "cpu", r->cpu) && add_six(json, r);

	steps = ok ? cJSON_AddArrayToObject(json, "steps") : NULL;
	for (unsigned i = 0; steps && i < r->n_steps; i++)
		if (!is_repeated(r, i) && !add_step(steps, t, r, &r->step[i]))
			return false;
	return steps && (!r->missed || cJSON_AddNumberToObject(json, "missed_steps", r->missed)) &&
	       cJSON_AddStringToObject(json, "verdict", verdict) && cJSON_AddStringToObject(json, "meaning", meaning);
}

cJSON *trace_record_json(const struct trace *t, const struct trace_record *r)
{
	cJSON *json = cJSON_CreateObject();

	if (json && fill(json, t, r))
		return json;
	cJSON_Delete(json);
	return NULL;
}

static bool add_octets(cJSON *json, const struct trace_frame *f)
{
	char text[2 * TRACE_FRAME_MAX + 1] = "";

	for (size_t i = 0; i < f->captured; i++)
		snprintf(text + 2 * i, 3, "%02x", f->octets[i]);
	return cJSON_AddStringToObject(json, "octets", text);
}

cJSON *trace_frame_json(const struct trace_record *r, const struct trace_frame *f, bool after)
{
	const char *verdict = r->reason < N_REASONS ? reason_texts[r->reason].name : "none";
	uint64_t seconds = f->time_ns / 1000000000, nanoseconds = f->time_ns % 1000000000;
	cJSON *json = cJSON_CreateObject();
	char name[IF_NAMESIZE];

	if (json && cJSON_AddNumberToObject(json, "seconds", (double)seconds) &&
	    cJSON_AddNumberToObject(json, "nanoseconds", (double)nanoseconds) &&
	    cJSON_AddStringToObject(json, "interface", f->ifindex ? interface_name(f->ifindex, name) : "kernel") &&
	    cJSON_AddStringToObject(json, "direction", f->outbound ? "out" : "in") &&
	    cJSON_AddStringToObject(json, "translation", after ? "after" : "before") &&
	    cJSON_AddStringToObject(json, "verdict", verdict) && cJSON_AddNumberToObject(json, "length", f->length) &&
	    add_octets(json, f))
		return json;
	cJSON_Delete(json);
	return NULL;
}
