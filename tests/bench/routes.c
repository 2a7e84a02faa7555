// SPDX-License-Identifier: BSD-2-Clause
/* The routes of the world: in the kernel's table, and in the datapath's copy. */
#include "bench.h"

#include <errno.h>
#include <string.h>

#include "host/memory.h"

#define KERNEL_NEEDS (1ULL << 30) /* octets free, for a million routes */

static const struct internet *internet_get(struct bench *b)
{
	if (!b->internet)
		b->internet = internet_new();
	if (!b->internet)
		die("routes", ENOMEM);
	return b->internet;
}

uint32_t world_destination(struct bench *b, uint32_t n)
{
	return internet_destination(internet_get(b), n);
}

void routes_station(uint32_t next_hop, uint8_t ret_mac[6])
{
	const uint8_t mac[6] = { 2, 0, 0, 0, next_hop ? 1 : 0, (uint8_t)(next_hop ? next_hop : 2) };

	memcpy(ret_mac, mac, 6);
}

void world_station(struct bench *b, uint32_t addr, uint8_t ret_mac[6])
{
	routes_station(b->routes ? internet_next_hop(b->internet, addr) : 0, ret_mac);
}

static void copy_routes(const struct bench *b)
{
	copy_forget();
	for (uint32_t i = 0; i < b->routes; i++) {
		uint32_t base, next_hop;
		unsigned plen;

		internet_route(b->internet, i, &base, &plen, &next_hop);
		copy_add(base, plen, next_hop);
	}
}

int world_routes(struct bench *b, uint32_t n, struct error *err)
{
	int r;

	if (n == b->routes)
		return 0;
	if (n && memory_free("") < KERNEL_NEEDS)
		return error_set(err, -ENOMEM, "%u routes: less than %llu MB of memory are free", n,
				 KERNEL_NEEDS >> 20);
	r = internet_tell_kernel(internet_get(b), b->outside_ifindex, b->routes, n);
	if (r)
		die("routes", r);
	b->routes = n;
	copy_routes(b);
	/* What the datapath has learned is of the table before. */
	datapath_raise_epoch(&b->d);
	return 0;
}

double world_routes_read(struct bench *b, const struct row *row)
{
	const uint32_t n = (uint32_t)row_sessions(row);
	_cleanup_free_ uint32_t *number = NULL;

	if (!row->routes)
		return 0;
	number = calloc(n, sizeof(*number));
	if (!number)
		die("routes", ENOMEM);
	mix_destinations(b, row, number, n);
	return memory_latency_of(copy_nodes(), number, n);
}
