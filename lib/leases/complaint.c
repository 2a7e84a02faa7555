// SPDX-License-Identifier: BSD-2-Clause
#include "leases/complaint.h"

#include "base/base.h"
#include "leases/complaint_private.h"

const char *complaint_fault_word(enum complaint_fault fault)
{
	static const char *const words[] = {
#define X(constant, word) [constant] = (word),
		COMPLAINT_FAULTS(X)
#undef X
	};

	return words[fault];
}

int complaint_read(char *text, size_t size, const struct zone *zone, complaint_take take, void *arg)
{
	static bool (*const forms[])(const struct complaints *, int *) = {
		complaint_arf,
		complaint_csv,
		complaint_tcpdump,
		complaint_mail,
	};
	struct complaints c = { text, size, zone, take, arg };
	int r = 0;

	complaint_decode(&c);
	if (complaint_xml(&c, &r) || complaint_json(&c, &r))
		return r;
	complaint_untag(&c);
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++)
		if (forms[i](&c, &r))
			break;
	return r;
}
