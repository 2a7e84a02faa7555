// SPDX-License-Identifier: BSD-2-Clause
/* The files of desk/www, put into the program by the assembler. The page is served under the paths of pages.c. */
#include <errno.h>
#include <nettle/base64.h>
#include <nettle/sha2.h>
#include <string.h>

#include "api.h"
#include "pages.h"

#define FILES(X)                                                     \
	X(page, "page.html", "text/html; charset=utf-8")             \
	X(icon, "icon.svg", "image/svg+xml")                         \
	X(script, "desk.js", "text/javascript; charset=utf-8")       \
	X(dom, "dom.js", "text/javascript; charset=utf-8")           \
	X(plot, "plot.js", "text/javascript; charset=utf-8")         \
	X(lookup, "lookup.js", "text/javascript; charset=utf-8")     \
	X(places, "places.js", "text/javascript; charset=utf-8")     \
	X(state, "state.js", "text/javascript; charset=utf-8")       \
	X(cells, "cells.js", "text/javascript; charset=utf-8")       \
	X(history, "history.js", "text/javascript; charset=utf-8")   \
	X(customer, "customer.js", "text/javascript; charset=utf-8") \
	X(subscriber, "subscriber.js", "text/javascript; charset=utf-8")

#define INCLUDE(id, path)                                                                                 \
	extern const char asset_##id[], asset_##id##_end[];                                               \
	__asm__(".pushsection .rodata\nasset_" #id ": .incbin \"" path "\"\nasset_" #id "_end: .byte 0\n" \
		".popsection\n");
#define X(id, file, type) INCLUDE(id, "desk/www/" file)
FILES(X)
#undef X
INCLUDE(style, "desk/www/desk.css")
INCLUDE(openapi, "docs/reference/openapi.json")

const struct asset assets[] = {
#define X(id, file, type) { "/static/" file, type, asset_##id, asset_##id##_end },
	FILES(X)
#undef X
		{ API_DOCUMENT, "application/json", asset_openapi, asset_openapi_end },
};

const unsigned n_assets = sizeof(assets) / sizeof(*assets);

/* Where the style goes. */
#define MARK "<style></style>"

static void hash_style(const char *style, size_t size, char ret[static PAGE_POLICY_HASH])
{
	uint8_t digest[SHA256_DIGEST_SIZE];
	struct sha256_ctx ctx;
	size_t n = strlen(strcpy(ret, "sha256-"));

	sha256_init(&ctx);
	sha256_update(&ctx, size, (const uint8_t *)style);
	sha256_digest(&ctx, sizeof(digest), digest);
	base64_encode_raw(ret + n, sizeof(digest), digest);
	ret[n + BASE64_ENCODE_RAW_LENGTH(SHA256_DIGEST_SIZE)] = '\0';
}

int page_make(struct buffer *ret, char ret_hash[static PAGE_POLICY_HASH])
{
	static const struct asset style = { NULL, NULL, asset_style, asset_style_end };
	static const struct asset html = { NULL, NULL, asset_page, asset_page_end };
	size_t size = (size_t)(style.end - style.data);
	const char *mark = strstr(html.data, MARK), *after = mark + strlen("<style>");
	struct buffer b = {};

	if (buffer_add(&b, html.data, (size_t)(after - html.data), SIZE_MAX) ||
	    buffer_add(&b, style.data, size, SIZE_MAX) || buffer_add(&b, after, (size_t)(html.end - after), SIZE_MAX)) {
		buffer_free(&b);
		return -ENOMEM;
	}
	hash_style(style.data, size, ret_hash);
	*ret = b;
	return 0;
}
