/* SPDX-License-Identifier: BSD-2-Clause */
/* detnat-desk token: makes, lists and revokes tokens. */
#ifndef DETNAT_DESK_TOKEN_COMMAND_H
#define DETNAT_DESK_TOKEN_COMMAND_H

#include "base/error.h"

#define TOKENS_FILE "/etc/detnat/desk.tokens"

#define TOKEN_HELP                                                                                 \
	"       detnat-desk token add NAME --kind KIND[,KIND...] [--tenant TENANT] [--rate N/h]\n" \
	"                   [--expires TIME] [--tokens FILE]\n"                                    \
	"       detnat-desk token list [--tokens FILE]\n"                                          \
	"       detnat-desk token revoke NAME [--tokens FILE]\n"

/* Runs the words that follow "token"; argv[0] is that word. 0, -EINVAL for wrong words, or another -errno, with err. */
int token_command(int argc, char **argv, struct error *err);

#endif
