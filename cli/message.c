// SPDX-License-Identifier: BSD-2-Clause
#include "message.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/cleanup.h"

static bool muted;

void message_mute(bool mute)
{
	muted = mute;
}

void message_show(const char *text)
{
	text_line(stderr, "detnatctl: ", text);
}

static void print_formatted(const char *before, const char *format, va_list ap)
{
	_cleanup_free_ char *text = NULL;

	if (vasprintf(&text, format, ap) < 0)
		text = NULL;
	text_line(stderr, before, text ? text : "out of memory");
}

void message_warn(const char *format, ...)
{
	va_list ap;

	if (muted)
		return;
	va_start(ap, format);
	print_formatted("detnatctl: warning: ", format, ap);
	va_end(ap);
}

void message_line(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	print_formatted("", format, ap);
	va_end(ap);
}
