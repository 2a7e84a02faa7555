// SPDX-License-Identifier: BSD-2-Clause
/* The files of desk/www, put into the program by the assembler. The page is served under the paths of pages.c. */
#include "pages.h"

#define FILES(X)                                                   \
	X(page, "page.html", "text/html; charset=utf-8")           \
	X(style, "desk.css", "text/css; charset=utf-8")            \
	X(icon, "icon.svg", "image/svg+xml")                       \
	X(script, "desk.js", "text/javascript; charset=utf-8")     \
	X(dom, "dom.js", "text/javascript; charset=utf-8")         \
	X(plot, "plot.js", "text/javascript; charset=utf-8")       \
	X(lookup, "lookup.js", "text/javascript; charset=utf-8")   \
	X(state, "state.js", "text/javascript; charset=utf-8")     \
	X(cells, "cells.js", "text/javascript; charset=utf-8")     \
	X(history, "history.js", "text/javascript; charset=utf-8") \
	X(subscriber, "subscriber.js", "text/javascript; charset=utf-8")

#define X(id, file, type)                                                                                          \
	extern const char asset_##id[], asset_##id##_end[];                                                        \
	__asm__(".pushsection .rodata\nasset_" #id ": .incbin \"desk/www/" file "\"\nasset_" #id "_end: .byte 0\n" \
		".popsection\n");
FILES(X)
#undef X

const struct asset assets[] = {
#define X(id, file, type) { "/static/" file, type, asset_##id, asset_##id##_end },
	FILES(X)
#undef X
};

const unsigned n_assets = sizeof(assets) / sizeof(*assets);
