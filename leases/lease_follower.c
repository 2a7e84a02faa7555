/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>
#include <string.h>

#include "lease_follower.h"

static const enum lease_format formats[] = {
	[SOURCE_KEA] = FORMAT_KEA,
	[SOURCE_DNSMASQ] = FORMAT_DNSMASQ,
	[SOURCE_ISC_DHCPD] = FORMAT_ISC_DHCPD,
	[SOURCE_ACCEL_PPP] = FORMAT_ACCEL_PPP,
};

int lease_follower_new(const struct config_lease_source *rules, struct lease_follower **ret)
{
	struct lease_follower *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	f->rules = *rules;
	f->format = formats[rules->type];
	f->fd = -1;
	*ret = f;
	return 0;
}

void lease_follower_free(struct lease_follower *f)
{
	if (!f)
		return;
	close_fd(&f->fd);
	known_leases_free(&f->known);
	free(f);
}

bool lease_follower_look(struct lease_follower *f, struct lease_writer *w, int64_t now,
			 struct identity_figures *figures)
{
	bool grows = f->format == FORMAT_KEA || f->format == FORMAT_ISC_DHCPD;

	return grows ? follow_growth(f, w, now, figures) : follow_present(f, w, now, figures);
}
