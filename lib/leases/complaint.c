// SPDX-License-Identifier: BSD-2-Clause
#include "leases/complaint.h"

#include "base/base.h"
#include "leases/complaint_private.h"

int complaint_read(char *text, size_t size, const struct zone *zone, complaint_take take, void *arg)
{
	static bool (*const forms[])(const struct complaints *, int *) = {
		complaint_xml, complaint_arf, complaint_csv, complaint_tcpdump, complaint_mail,
	};
	struct complaints c = { text, size, zone, take, arg };
	int r = 0;

	/* What is hidden behind a NUL is shown. */
	for (size_t i = 0; i < size; i++)
		text[i] = (char)(text[i] ? text[i] : ' ');
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++)
		if (forms[i](&c, &r))
			break;
	return r;
}
