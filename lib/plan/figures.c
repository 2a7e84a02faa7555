// SPDX-License-Identifier: BSD-2-Clause
/* Defaults of a mapping's figures, and the refusals, with figures that fit. */
#include <errno.h>
#include <inttypes.h>

#include "plan/plan.h"

#include "plan/figures.h"

static uint64_t divide_up(uint64_t n, uint64_t by)
{
	return (n + by - 1) / by;
}

/* The most blocks of these figures below port 65536. */
static uint32_t blocks_that_fit(uint32_t first_port, uint32_t pitch, uint32_t ports)
{
	uint32_t blocks = first_port + ports > 65536 ? 0 : (65536 - first_port - ports) / pitch + 1;

	return blocks < MAPPING_MAX_RATIO ? blocks : MAPPING_MAX_RATIO;
}

/* The most ports of each of so many blocks; 0: too many blocks. */
static uint32_t ports_that_fit(uint32_t first_port, uint64_t blocks)
{
	uint64_t ports = blocks && blocks <= MAPPING_MAX_RATIO ? (65536 - first_port) / blocks : 0;

	if (ports == 1 && !first_port)
		return 0;
	return ports < MAPPING_MAX_BLOCK ? (uint32_t)ports : MAPPING_MAX_BLOCK;
}

static bool all_prefixes(const struct plan_addresses *a)
{
	for (size_t i = 0; i < a->n; i++)
		if (!a->range[i].prefix)
			return false;
	return true;
}

static int check_values(const struct plan_mapping *m, struct error *err)
{
	if (m->subscribers_per_address > MAPPING_MAX_RATIO)
		return error_set(err, -EINVAL, "subscribers_per_address must be from 1 to %u", MAPPING_MAX_RATIO);
	if (m->ports_per_host > MAPPING_MAX_BLOCK)
		return error_set(err, -EINVAL, "ports_per_host must be from 1 to %u", MAPPING_MAX_BLOCK);
	if (m->first_port > 65535)
		return error_set(err, -EINVAL, "first_port must be from 0 to 65535");
	if (m->block_pitch > MAPPING_MAX_BLOCK)
		return error_set(err, -EINVAL, "block_pitch must be from 1 to %u", MAPPING_MAX_BLOCK);
	if (m->block_pitch && m->ports_per_host > m->block_pitch)
		return error_set(
			err, -EINVAL,
			"block_pitch %u is below ports_per_host %u, so blocks would overlap: block_pitch %u, or "
			"ports_per_host %u",
			m->block_pitch, m->ports_per_host, m->ports_per_host, m->block_pitch);
	if (!m->first_port && m->ports_per_host == 1)
		return error_set(
			err, -EINVAL,
			"the first block would have port 0 alone, which belongs to no subscriber: first_port 1");
	return 0;
}

/* The first block that ends above port 65535. */
static int refuse_end(const struct plan_figures *f, struct error *err)
{
	uint32_t fit = blocks_that_fit(f->first_port, f->pitch, f->ports),
		 ports = ports_that_fit(f->first_port, f->ratio);
	uint64_t end = f->first_port + (uint64_t)f->pitch * fit + f->ports - 1;
	char blocks[48] = "", smaller[48] = "";

	if (fit)
		snprintf(blocks, sizeof(blocks), ": subscribers_per_address %u", fit);
	if (ports)
		snprintf(smaller, sizeof(smaller), "%s ports_per_host %u", fit ? ", or" : ":", ports);
	return error_set(err, -EINVAL, "block %u of %u would end at port %" PRIu64 "%s%s", fit, f->ratio, end, blocks,
			 smaller);
}

static int refuse_capacity(const struct plan_mapping *m, const struct plan_figures *f, struct error *err)
{
	uint64_t holds = f->addresses * f->ratio, ratio = divide_up(f->subscribers, f->addresses);
	uint64_t more = divide_up(f->subscribers, f->ratio) - f->addresses;
	uint32_t ports = ports_that_fit(f->first_port, ratio);
	char smaller[96] = "";

	if (ports && m->subscribers_per_address && m->ports_per_host)
		snprintf(smaller, sizeof(smaller), "subscribers_per_address %" PRIu64 " with ports_per_host %u, or ",
			 ratio, f->ports < ports ? f->ports : ports);
	else if (ports && m->subscribers_per_address)
		snprintf(smaller, sizeof(smaller), "subscribers_per_address %" PRIu64 ", or ", ratio);
	else if (ports)
		snprintf(smaller, sizeof(smaller), "ports_per_host %u%s, or ", ports,
			 m->block_pitch > ports ? " without block_pitch" : "");
	return error_set(err, -EINVAL, "holds %" PRIu64 " of %" PRIu64 " subscribers: %s%" PRIu64 " address%s more",
			 holds, f->subscribers, smaller, more, more == 1 ? "" : "es");
}

int plan_figures(const struct plan_mapping *m, const struct plan_addresses *in, const struct plan_addresses *out,
		 struct plan_figures *ret, struct error *err)
{
	struct plan_figures f = { .subscribers = plan_addresses_count(in),
				  .addresses = plan_addresses_count(out),
				  .first_port = m->first_port,
				  .ports = m->ports_per_host,
				  .netmap = m->order == PLAN_NETMAP };
	int r = check_values(m, err);

	if (r)
		return r;
	if (m->subscribers_per_address)
		f.ratio = m->subscribers_per_address;
	else if (f.ports && !m->grows)
		f.ratio = blocks_that_fit(f.first_port, m->block_pitch ? m->block_pitch : f.ports, f.ports);
	else if (f.addresses > f.subscribers && all_prefixes(in) && all_prefixes(out))
		return error_set(err, -EINVAL,
				 "more addresses outside, %" PRIu64 ", than inside, %" PRIu64
				 ": make out smaller, or set subscribers_per_address",
				 f.addresses, f.subscribers);
	else if (divide_up(f.subscribers, f.addresses) > MAPPING_MAX_RATIO)
		return error_set(err, -EINVAL,
				 "less than one port a host: at least %" PRIu64 " outside addresses are needed",
				 divide_up(f.subscribers, MAPPING_MAX_RATIO));
	else
		f.ratio = (uint32_t)divide_up(f.subscribers, f.addresses);
	if (!f.ratio)
		f.ratio = 1; /* refused below, with the figures of one block */
	if (!f.ports) {
		f.ports = ports_that_fit(f.first_port, f.ratio);
		if (m->block_pitch && f.ports > m->block_pitch)
			f.ports = m->block_pitch;
	}
	if (!f.ports)
		return error_set(
			err, -EINVAL,
			"less than one port a host: first_port %u leaves %u ports for %u subscribers of an address",
			f.first_port, 65536 - f.first_port, f.ratio);
	f.pitch = m->block_pitch ? m->block_pitch : f.ports;
	if (blocks_that_fit(f.first_port, f.pitch, f.ports) < f.ratio)
		return refuse_end(&f, err);
	if (f.addresses * f.ratio < f.subscribers)
		return refuse_capacity(m, &f, err);
	if (f.addresses * f.ratio > 1ULL << 32)
		return error_set(err, -EINVAL,
				 "%" PRIu64 " outside addresses have blocks for more than 4294967296 subscribers: "
				 "make out smaller",
				 f.addresses);
	*ret = f;
	return 0;
}
