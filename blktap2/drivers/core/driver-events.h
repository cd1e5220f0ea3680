/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The events of a driver: registered at any time, live only while its disks are served.  Drivers
 * are opened and closed on workers, where the loop cannot be touched.
 */
#ifndef CORE_DRIVER_EVENTS_H
#define CORE_DRIVER_EVENTS_H

#include <tapdisk.h>

/* On the loop, before a close begins: after the last disk no event fires until td_driver_arm. */
void td_driver_disarm(td_driver_t *driver);

/* Forget all events; they are not armed. */
void driver_events_free(td_driver_t *driver);

#endif
