/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Words to the service manager, if there is one: systemd's datagrams.
 */
#ifndef DAEMON_NOTIFY_H
#define DAEMON_NOTIFY_H

#include <stdint.h>

/* "READY=1", "STOPPING=1", "WATCHDOG=1", ...  Nobody who listens is fine. */
void notify(const char *words);

/* How often the manager wants "WATCHDOG=1", in milliseconds; 0: never. */
uint64_t notify_watchdog_ms(void);

#endif
