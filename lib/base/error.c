/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/error.h"

#include <stddef.h>

#include "base/base.h"

bool error_passes(int r)
{
	/* Not ENOMEM: tables that do not fit in memory will not fit until they are configured smaller. */
	static const int passing[] = { ENOSPC, EDQUOT, EROFS, EIO,     ENFILE, EMFILE,
				       ENODEV, EAGAIN, EINTR, ENOBUFS, ESTALE, ENETDOWN };

	for (size_t i = 0; i < ARRAY_SIZE(passing); i++)
		if (r == -passing[i])
			return true;
	return false;
}
