// SPDX-License-Identifier: BSD-2-Clause
#include "base/printed.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int printed(const char *program, int status)
{
	errno = 0;
	if ((!fflush(stdout) && !ferror(stdout)) || errno == EPIPE)
		return status;
	fprintf(stderr, "%s: standard output cannot be written: %s\n", program, strerror(errno ? errno : EIO));
	return status ? status : EXIT_FAILURE;
}
