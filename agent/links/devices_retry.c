/* SPDX-License-Identifier: BSD-2-Clause */
/* Tries again to share interfaces that do without XDP, as libxdp's dispatcher refused detnat's program. */
#include <string.h>

#include "base/log.h"
#include "links/devices_private.h"

void devices_retry_shares(struct devices *v)
{
	for (size_t k = 0; v->applied && k < v->interfaces.count; k++) {
		struct interface *i = &v->interfaces.list[k];
		char before[sizeof(i->without_xdp)];
		struct error err;

		if (!devices_awaits_share(i) || i->attachment != DEVICE_TC ||
		    link_by_index(v->netlink, i->link.ifindex, &i->link))
			continue;
		memcpy(before, i->without_xdp, sizeof(before));
		i->xdp_failed = false;
		i->without_xdp[0] = '\0';
		if (devices_attach_ingress(v, i, &err)) {
			log_error("%s", err.text);
			devices_schedule_sync(v, 0);
		} else if (i->attachment != DEVICE_TC) {
			/* It went with the filter at the ingress. */
			i->made_clsact &= interface_has_egress(i) || v->own.by_links;
			if (devices_attach_into_vrf(v, i, &err) || devices_settle_tc(v, i, &err))
				log_error("%s", err.text);
			log_info("%s: %s XDP now, under libxdp's dispatcher", i->name,
				 i->attachment == DEVICE_XDP_NATIVE ? "native" : "generic");
			devices_tell(i, LOG_LEVEL_INFO, "interface-attached", "the programs are attached");
			redirects_start(v->redirects, &i->link, i->attachment == DEVICE_XDP_NATIVE, &i->health);
		} else if (strcmp(before, i->without_xdp) != 0) {
			log_warning("%s: tc alone: %s", i->name, i->without_xdp);
		}
	}
}
