/* SPDX-License-Identifier: BSD-2-Clause */
#include "full_buffers.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"

/* Octets of the file: a few lines. */
#define SNMP_MAX 8192U

uint64_t full_buffers(void)
{
	_cleanup_close_ int fd = open("/proc/self/net/snmp", O_RDONLY | O_CLOEXEC);
	char text[SNMP_MAX], *names, *values, *name, *value, *name_left, *value_left;
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = '\0';
	names = strstr(text, "\nUdp: ");
	values = names ? strstr(names + 1, "\nUdp: ") : NULL;
	if (!values)
		return 0;
	*values++ = '\0';
	values[strcspn(values, "\n")] = '\0';
	name = strtok_r(names, " ", &name_left);
	value = strtok_r(values, " ", &value_left);
	while (name && value && strcmp(name, "RcvbufErrors") != 0) {
		name = strtok_r(NULL, " ", &name_left);
		value = strtok_r(NULL, " ", &value_left);
	}
	return name && value ? strtoull(value, NULL, 10) : 0;
}
