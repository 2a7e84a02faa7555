// SPDX-License-Identifier: BSD-2-Clause
/* The maps of det44, whatever the configuration that has them. */
#include <detnat/mapping.h>

#include "base/text.h"
#include "import/format_vpp.h"

/* Whether an address is excluded; *at moves on as addresses ascend. */
static bool excluded(const struct import_vpp *v, uint32_t addr, size_t *at)
{
	while (*at < v->excluded.n && v->excluded.range[*at].last < addr)
		++*at;
	return *at < v->excluded.n && import_range_has(v->excluded.range[*at], addr);
}

int import_vpp_map(struct import_vpp *v, const char *inside, const char *outside, uint32_t line, struct error *err)
{
	struct import *m = v->m;
	struct prefix in, out;
	uint32_t ratio, ports;
	uint64_t taken = 0;
	size_t at = 0;

	if (prefix_parse(inside, &in) || prefix_parse(outside, &out))
		return import_fault(m, line, err, "needs a prefix inside and one outside, not %s and %s",
				    QUOTED(inside), QUOTED(outside));
	if (out.plen < in.plen || out.plen - in.plen > 15)
		return import_fault(m, line, err, "no port is left for each of the addresses of %s in %s",
				    QUOTED(inside), QUOTED(outside));
	if (prefix_size(in.plen) > IMPORT_MAX_ROWS || v->n >= IMPORT_VPP_MAPS)
		return import_fault(m, line, err, "more than %u inside addresses, or %u maps", IMPORT_MAX_ROWS,
				    IMPORT_VPP_MAPS);
	ratio = 1U << (out.plen - in.plen);
	ports = MAPPING_PORTS / ratio;
	import_reserve(m, prefix_size(in.plen));
	for (uint64_t i = 0; i < prefix_size(in.plen) && !m->failed; i++) {
		uint32_t addr = in.base + (uint32_t)i, lo = 1024 + ports * (uint32_t)(i % ratio);
		size_t k = 0;

		while (k < v->n && !import_range_has(v->map[k].in, addr))
			k++;
		if (k < v->n)
			taken++;
		else if (!excluded(v, addr, &at))
			import_add(m, addr, out.base + (uint32_t)(i / ratio), lo, lo + ports - 1, IMPORT_ALL, line);
	}
	if (taken)
		import_note(m, taken == prefix_size(in.plen) ? IMPORT_UNREACHED : IMPORT_TAKEN, line,
			    "%llu addresses of %.40s are in an earlier map, which has them", (unsigned long long)taken,
			    inside);
	v->map[v->n++] = (struct import_vpp_map){ { in.base, in.base | ~prefix_mask(in.plen) }, line };
	return 0;
}
