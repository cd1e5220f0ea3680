/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Legacy control messages: what a receiver must check before it believes one.
 */
#ifndef COMMON_MESSAGE_H
#define COMMON_MESSAGE_H

#include <stdbool.h>

#include <tapdisk-message.h>

/* The name of a message type for traces, "pid response"; "unknown" for others.  Static. */
const char *message_name(unsigned type);

/* The text field of size bytes has its NUL. */
bool message_text_ends(const char *field, size_t size);

/*
 * Copy text into a field of size bytes, the rest zeroed.  Returns 0 or -ENAMETOOLONG, with the
 * field untouched: a name is never cut.
 */
int message_put_text(char *field, size_t size, const char *text);

/* The same for text that people read: cut if need be. */
void message_put_note(char *field, size_t size, const char *text);

#endif
