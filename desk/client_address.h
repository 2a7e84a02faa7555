/* SPDX-License-Identifier: BSD-2-Clause */
/* The client of the proxy, by X-Forwarded-For. Pure. */
#ifndef DETNAT_DESK_CLIENT_ADDRESS_H
#define DETNAT_DESK_CLIENT_ADDRESS_H

/* Room for an address of IPv6 and "/64". */
#define CLIENT_TEXT 52U

/*
 * The last address of the header's value, which is the one that the nearest proxy adds; of IPv6 the prefix of 64 bits,
 * as whoever has one has all of it. "" if there is none.
 */
void client_address(const char *forwarded, char ret[static CLIENT_TEXT]);

#endif
