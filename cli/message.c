// SPDX-License-Identifier: BSD-2-Clause
#include "message.h"

#include <stdio.h>

void message_show(char *text)
{
	for (char *c = text; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	fprintf(stderr, "detnatctl: %s\n", text);
}
