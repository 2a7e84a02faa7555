/* SPDX-License-Identifier: BSD-2-Clause */
/* The maps of det44, for the readers of the configurations that have them. */
#ifndef DETNAT_FORMAT_VPP_H
#define DETNAT_FORMAT_VPP_H

#include "import/import_build.h"
#include "import/import_text.h"

#define IMPORT_VPP_MAPS 4096U

struct import_vpp_map {
	struct import_range in;
	uint32_t line;
};

struct import_vpp {
	struct import *m;
	struct import_vpp_map *map; /* room for IMPORT_VPP_MAPS */
	size_t n;
	struct import_ranges excluded; /* inside addresses that are not translated, in order */
};

/* Adds the rows of a map but those that an earlier one has. 0, or -EINVAL with err. */
int import_vpp_map(struct import_vpp *v, const char *inside, const char *outside, uint32_t line, struct error *err);

/* The configuration of VyOS on VPP, `vpp nat cgnat`. 0, -EINVAL or -ENOMEM with err. */
int import_vpp_read_vyos(struct import_vpp *v, const struct import_text *text, struct error *err);

#endif
