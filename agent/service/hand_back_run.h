/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DETNAT_HAND_BACK_RUN_H
#define DETNAT_HAND_BACK_RUN_H

#include "service/service.h"

/*
 * For --hand-back: offers the datapath under the pin path of that file to 1.0.0, and stays until it has taken it over.
 * A signal takes the offer back, unless 1.0.0 is starting already.
 */
enum exit_status hand_back_run(const char *config_path, struct error *err);

#endif
