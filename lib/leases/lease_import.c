// SPDX-License-Identifier: BSD-2-Clause
#include "leases/lease_import.h"

#include "leases/import_private.h"

static int (*const readers[])(struct lease_import *, FILE *) = {
	[FORMAT_FREERADIUS_DETAIL] = import_freeradius_detail,
	[FORMAT_RADACCT_CSV] = import_radacct_csv,
	[FORMAT_KEA] = import_kea,
	[FORMAT_MIKROTIK] = import_mikrotik,
	[FORMAT_DNSMASQ] = import_dnsmasq,
	[FORMAT_ISC_DHCPD] = import_isc_dhcpd,
	[FORMAT_ACCEL_PPP] = import_accel_ppp,
};

int lease_import(struct lease_import *x, enum lease_format format, FILE *in)
{
	int r = readers[format](x, in);

	accounting_servers_free(&x->servers);
	return r;
}
