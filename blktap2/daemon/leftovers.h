/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rings whose devices were removed while nobody was there to see it.
 */
#ifndef DAEMON_LEFTOVERS_H
#define DAEMON_LEFTOVERS_H

struct tapback;

/*
 * Ask all tapdisks for their rings, and disconnect those that no directory of xenstore knows.  To
 * be called once, when all devices have been looked at; the answers are taken from the loop, until
 * tapdisks_free.
 */
void leftovers_look(struct tapback *tapback);

#endif
