/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The handshake of one NBD client, as a machine over bytes: it is fed what the client sent and says
 * what to answer.  No I/O.
 */
#ifndef FRONTEND_NBD_HANDSHAKE_H
#define FRONTEND_NBD_HANDSHAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "drivers/frontend/nbd-wire.h"

#define NBD_OPTION_DATA_MAX (64u * 1024) /* bytes that are parsed; longer ones are drained */
#define NBD_OPTION_DRAIN_MAX (32u * 1024 * 1024) /* bytes; longer ones end the connection */
#define NBD_OPTIONS_MAX 128                      /* per connection */
#define NBD_HANDSHAKE_OUT 512                    /* bytes; the longest answer to one message */

/* The id of the one metadata context there is, once it is selected. */
#define NBD_CONTEXT_ALLOCATION 1

/* What clients are told about the export. */
struct nbd_facts {
	uint64_t size;  /* bytes */
	uint16_t flags; /* NBD_FLAG_*; DF is added where it was negotiated */
};

enum nbd_step {
	NBD_STEP_MORE,  /* nothing was used: more bytes are needed */
	NBD_STEP_NEXT,  /* a message, or a part to be thrown away, was used */
	NBD_STEP_READY, /* the same, and transmission begins after what is in out */
	NBD_STEP_CLOSE, /* send what is in out, then close */
};

struct nbd_handshake {
	enum nbd_mode mode;
	bool contexts; /* base:allocation is selected, for the export of context_name */

	/* The answer.  Whoever sends it sets out_size to 0 again before the next feed. */
	size_t out_size;
	uint8_t out[NBD_HANDSHAKE_OUT];

	/* Private. */
	bool flags_known;
	bool no_zeroes;
	unsigned options;
	uint32_t drain; /* bytes of an over-long option still to come */
	uint32_t drain_option;
	char *context_name; /* owned, context_name_length bytes */
	uint32_t context_name_length;
};

/* Begin with the server's greeting in out. */
void nbd_handshake_init(struct nbd_handshake *handshake);
void nbd_handshake_fini(struct nbd_handshake *handshake);

/* Take one message from length bytes at data; *used says how many bytes it had. */
enum nbd_step nbd_handshake_feed(struct nbd_handshake *handshake, const struct nbd_facts *facts,
				 const uint8_t *data, size_t length, size_t *used);

#endif
