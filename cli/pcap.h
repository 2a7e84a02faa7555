/* SPDX-License-Identifier: BSD-2-Clause */
/* Capture files in the format pcapng (draft-ietf-opsawg-pcapng), of the frames that `trace pcap` streams. */
#ifndef DETNATCTL_PCAP_H
#define DETNATCTL_PCAP_H

#include "client.h"
#include "writer.h"

/*
 * Reads all frames, then writes them to the file, - being standard output. Nothing is written if there are none, or if
 * they cannot be read. Returns an exit status, with err set unless it is 0.
 */
int pcap_save(struct client *client, const char *path, struct writer *w, struct error *err);

#endif
