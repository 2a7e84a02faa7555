// SPDX-License-Identifier: BSD-2-Clause
/*
 * Requests of any octets to the PCP server, in a row: each answer is one of RFC 6887's, no longer than a message may
 * be, and repeats the request; an error changes nothing; no lease ever has a port of another's block, one that is
 * taken, or filters that cannot be, and none is made for a source that is not taken. The input is a sequence of
 * requests, each preceded by its length in two octets and one that says who asks.
 */
#include "../../agent/pcp/decide.c"
#include "../../agent/pcp/pcp_message.c"

#define SUBSCRIBER 0x64400002U
#define POOL	   0xcb007107U
#define PORT_LO	   2000U
#define PORTS	   16U
#define N_LEASES   64U

static struct pcp_lease leases[N_LEASES];
static size_t n_leases;
static enum pcp_source source;

static enum pcp_source fuzz_source(void *arg)
{
	return source;
}

/* The last subscriber is one to whom everything leads. */
static bool fuzz_open(void *arg, uint32_t in_addr)
{
	return in_addr == SUBSCRIBER + 2;
}

static int fuzz_subscriber(void *arg, uint32_t in_addr, struct port_block *ret)
{
	uint32_t n = in_addr - SUBSCRIBER;

	if (fuzz_open(NULL, in_addr)) {
		*ret = (struct port_block){ POOL + 1, 0, UINT16_MAX };
		return 0;
	}
	if (n > 1)
		return -ENOENT;
	*ret = (struct port_block){ POOL, (uint16_t)(PORT_LO + n * PORTS), (uint16_t)(PORT_LO + (n + 1) * PORTS - 1) };
	return 0;
}

static struct pcp_lease *by_out(uint8_t proto, struct endpoint out)
{
	for (size_t i = 0; i < n_leases; i++)
		if (leases[i].proto == proto && leases[i].out.addr == out.addr && leases[i].out.port == out.port)
			return &leases[i];
	return NULL;
}

static int fuzz_find(void *arg, uint8_t proto, struct endpoint in, struct pcp_lease *ret)
{
	for (size_t i = 0; i < n_leases; i++) {
		if (leases[i].proto == proto && leases[i].in.addr == in.addr && leases[i].in.port == in.port) {
			*ret = leases[i];
			return 0;
		}
	}
	return -ENOENT;
}

static bool fuzz_taken(void *arg, uint8_t proto, struct endpoint out)
{
	return by_out(proto, out);
}

/* Other inside ports have every seventh port; some inside ports have the fourth. */
static void fuzz_held(void *arg, uint8_t proto, struct endpoint in, struct held_ports *ret)
{
	memset(ret, 0, sizeof(*ret));
	for (uint32_t port = PORT_LO; port < PORT_LO + 2 * PORTS; port += 7)
		ret->others[port / 8] |= (uint8_t)(1 << port % 8);
	if (in.port % 5 == 0)
		ret->own = (uint16_t)(PORT_LO + (in.addr - SUBSCRIBER) * PORTS + 3);
}

static unsigned fuzz_count(void *arg, uint32_t in_addr)
{
	unsigned n = 0;

	for (size_t i = 0; i < n_leases; i++)
		n += leases[i].in.addr == in_addr;
	return n;
}

static bool fuzz_has_room(void *arg, unsigned count)
{
	return count < 3 || n_leases < N_LEASES / 2;
}

static int fuzz_put(void *arg, const struct pcp_lease *l)
{
	struct pcp_lease *known = by_out(l->proto, l->out);
	struct port_block block;

	if (fuzz_open(NULL, l->in.addr) || fuzz_subscriber(NULL, l->in.addr, &block) || l->out.addr != block.out_addr ||
	    l->out.port < block.port_lo || l->out.port > block.port_hi || !l->in.port ||
	    (l->proto != IPPROTO_TCP && l->proto != IPPROTO_UDP))
		abort();
	if (l->filters.n && !portmap_filters_valid(&l->filters))
		abort();
	if (!known && (l->out.port - PORT_LO) % 7 == 0)
		abort();
	if (known && (known->in.addr != l->in.addr || known->in.port != l->in.port))
		abort();
	if (!known && source != PCP_SOURCE_TAKEN)
		abort();
	if (!known && n_leases == N_LEASES)
		return -ENOSPC;
	*(known ? known : &leases[n_leases++]) = *l;
	return 0;
}

static int fuzz_del(void *arg, const struct pcp_lease *l)
{
	struct pcp_lease *known = by_out(l->proto, l->out);

	if (!known)
		abort();
	*known = leases[--n_leases];
	return 0;
}

static int fuzz_del_all(void *arg, uint32_t in_addr, uint8_t proto, const uint8_t nonce[static PCP_NONCE])
{
	int n = 0;

	for (size_t i = 0; i < n_leases;) {
		if (leases[i].in.addr == in_addr && (!proto || leases[i].proto == proto) &&
		    !memcmp(leases[i].nonce, nonce, PCP_NONCE)) {
			leases[i] = leases[--n_leases];
			n++;
		} else {
			i++;
		}
	}
	return n;
}

static int fuzz_session(void *arg, uint8_t proto, struct endpoint in, struct endpoint ext, struct endpoint *ret_out,
			uint32_t *ret_left_s)
{
	if (in.port % 2)
		return -ENOENT;
	*ret_out = (struct endpoint){ POOL, PORT_LO };
	*ret_left_s = in.port;
	return 0;
}

static const struct pcp_table table = {
	.subscriber = fuzz_subscriber,
	.open = fuzz_open,
	.find = fuzz_find,
	.taken = fuzz_taken,
	.held = fuzz_held,
	.count = fuzz_count,
	.has_room = fuzz_has_room,
	.put = fuzz_put,
	.del = fuzz_del,
	.del_all = fuzz_del_all,
	.session = fuzz_session,
};

static const struct config_pcp rules = {
	.enabled = true,
	.max_per_subscriber = 20,
	.lifetime_min = 120,
	.lifetime_max = 86400,
	.n_third_party = 1,
	.third_party = { { SUBSCRIBER + 1, 32 } },
};

static void check(const uint8_t *request, size_t size, const uint8_t *answer, size_t length,
		  const struct pcp_outcome *o, bool changed)
{
	size_t repeated = PCP_HEADER + PCP_NONCE + 1;

	if (length % 4 || length < PCP_HEADER || length > PCP_MAX_MESSAGE || answer[0] != PCP_VERSION ||
	    answer[1] != (request[1] | PCP_RESPONSE) || answer[2] || answer[3] != o->result ||
	    o->result >= N_PCP_RESULTS)
		abort();
	if (o->result && changed)
		abort();
	if (length >= repeated && size >= repeated && o->opcode != PCP_ANNOUNCE &&
	    memcmp(request + PCP_HEADER, answer + PCP_HEADER, PCP_NONCE + 1))
		abort();
	/* Little can be gained by a request whose source is forged. */
	if (length > size + PCP_HEADER)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct pcp_desk desk = { &rules, &table, NULL, fuzz_source, NULL };

	n_leases = 0;
	for (size_t at = 0; size - at >= 3;) {
		size_t length = (size_t)(data[at] << 8 | data[at + 1]);
		uint32_t from = SUBSCRIBER + data[at + 2] % 4;
		struct pcp_lease before[N_LEASES];
		size_t n_before = n_leases;
		uint8_t answer[PCP_MAX_MESSAGE], *request;
		struct pcp_outcome o;
		size_t n;

		source = (enum pcp_source)(data[at + 2] / 4 % 3);
		at += 3;
		if (length > size - at)
			length = size - at;
		/* On the heap, so that a read behind the end is seen. */
		request = malloc(length + !length);
		memcpy(request, data + at, length);
		at += length;
		memcpy(before, leases, sizeof(before));
		n = pcp_answer(&desk, request, length, from, 7, 1000, answer, &o);
		if (n && from == SUBSCRIBER + 3)
			abort();
		if (n)
			check(request, length, answer, n, &o,
			      n_before != n_leases || memcmp(before, leases, n_leases * sizeof(*leases)));
		free(request);
	}
	return 0;
}
