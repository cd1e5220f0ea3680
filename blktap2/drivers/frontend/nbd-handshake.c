/* SPDX-License-Identifier: BSD-2-Clause */
/* Fixed newstyle negotiation: client flags, then options until GO or EXPORT_NAME. */
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "drivers/frontend/nbd-handshake.h"

/* The one export that LIST shows; every name is accepted. */
static const char export_name[] = "tapdisk_client";
static const char allocation[] = "base:allocation";

#define BLOCK_MIN 1u          /* byte-granular requests are served */
#define BLOCK_PREFERRED 4096u /* bytes */

struct option {
	uint32_t number;
	const uint8_t *data;
	uint32_t length;
};

void
nbd_handshake_init(struct nbd_handshake *hs)
{
	memset(hs, 0, sizeof(*hs));
	hs->out_size = nbd_put_greeting(hs->out);
}

void
nbd_handshake_fini(struct nbd_handshake *hs)
{
	free(hs->context_name);
	hs->context_name = NULL;
}

static void
reply_data(struct nbd_handshake *hs, uint32_t option, uint32_t type, const void *data,
	   uint32_t length)
{
	if (NBD_OPTION_REPLY_SIZE + (size_t)length > sizeof(hs->out) - hs->out_size)
		return; /* cannot be: out holds the longest sequence of replies */
	hs->out_size += nbd_put_option_reply(hs->out + hs->out_size, option, type, data, length);
}

static enum nbd_step
reply(struct nbd_handshake *hs, uint32_t option, uint32_t type)
{
	reply_data(hs, option, type, NULL, 0);
	return NBD_STEP_NEXT;
}

static enum nbd_step
refuse(struct nbd_handshake *hs, uint32_t option, uint32_t type, const char *why)
{
	reply_data(hs, option, type, why, (uint32_t)strlen(why));
	return NBD_STEP_NEXT;
}

/* ---- the export ---- */

static uint16_t
export_flags(const struct nbd_handshake *hs, const struct nbd_facts *facts)
{
	return facts->flags | (hs->mode == NBD_SIMPLE ? 0 : NBD_FLAG_SEND_DF);
}

/* The contexts that were selected count only for the export that they were selected for. */
static void
choose(struct nbd_handshake *hs, const uint8_t *name, uint32_t length)
{
	if (hs->context_name_length != length ||
	    (length && memcmp(hs->context_name, name, length) != 0))
		hs->contexts = false;
}

static enum nbd_step
opt_export_name(struct nbd_handshake *hs, const struct nbd_facts *facts, const struct option *opt)
{
	if (hs->mode == NBD_EXTENDED || opt->length > NBD_NAME_MAX)
		return NBD_STEP_CLOSE;
	choose(hs, opt->data, opt->length);
	hs->out_size +=
		nbd_put_export(hs->out, facts->size, export_flags(hs, facts), !hs->no_zeroes);
	return NBD_STEP_READY;
}

static void
info_name(struct nbd_handshake *hs, uint32_t option)
{
	uint8_t data[2 + sizeof(export_name) - 1];

	put_be16(data, NBD_INFO_NAME);
	memcpy(data + 2, export_name, sizeof(export_name) - 1);
	reply_data(hs, option, NBD_REP_INFO, data, sizeof(data));
}

static void
info_block_size(struct nbd_handshake *hs, uint32_t option)
{
	uint8_t data[14];

	put_be16(data, NBD_INFO_BLOCK_SIZE);
	put_be32(data + 2, BLOCK_MIN);
	put_be32(data + 6, BLOCK_PREFERRED);
	put_be32(data + 10, NBD_PAYLOAD_MAX);
	reply_data(hs, option, NBD_REP_INFO, data, sizeof(data));
}

static enum nbd_step
opt_info(struct nbd_handshake *hs, const struct nbd_facts *facts, const struct option *opt)
{
	struct nbd_info_request request;
	bool name = false, block_size = false;
	uint8_t data[12];
	unsigned i;

	if (nbd_get_info_request(opt->data, opt->length, &request))
		return refuse(hs, opt->number, NBD_REP_ERR_INVALID, "malformed request");
	for (i = 0; i < request.count; i++) {
		uint16_t type = get_be16(request.types + 2 * (size_t)i);

		name |= type == NBD_INFO_NAME;
		block_size |= type == NBD_INFO_BLOCK_SIZE;
	}
	put_be16(data, NBD_INFO_EXPORT);
	put_be64(data + 2, facts->size);
	put_be16(data + 10, export_flags(hs, facts));
	reply_data(hs, opt->number, NBD_REP_INFO, data, sizeof(data));
	if (name)
		info_name(hs, opt->number);
	if (block_size)
		info_block_size(hs, opt->number);
	reply(hs, opt->number, NBD_REP_ACK);
	if (opt->number == NBD_OPT_INFO)
		return NBD_STEP_NEXT;
	choose(hs, request.name, request.name_length);
	return NBD_STEP_READY;
}

static enum nbd_step
opt_list(struct nbd_handshake *hs, const struct option *opt)
{
	uint8_t data[4 + sizeof(export_name) - 1];

	if (opt->length)
		return refuse(hs, opt->number, NBD_REP_ERR_INVALID, "no data expected");
	put_be32(data, sizeof(export_name) - 1);
	memcpy(data + 4, export_name, sizeof(export_name) - 1);
	reply_data(hs, opt->number, NBD_REP_SERVER, data, sizeof(data));
	return reply(hs, opt->number, NBD_REP_ACK);
}

/* ---- replies and contexts ---- */

static enum nbd_step
opt_structured_reply(struct nbd_handshake *hs, const struct option *opt)
{
	if (hs->mode == NBD_EXTENDED)
		return refuse(hs, opt->number, NBD_REP_ERR_EXT_HEADER_REQD,
			      "extended headers are in use");
	if (opt->length)
		return refuse(hs, opt->number, NBD_REP_ERR_INVALID, "no data expected");
	hs->mode = NBD_STRUCTURED;
	return reply(hs, opt->number, NBD_REP_ACK);
}

static enum nbd_step
opt_extended_headers(struct nbd_handshake *hs, const struct option *opt)
{
	if (opt->length)
		return refuse(hs, opt->number, NBD_REP_ERR_INVALID, "no data expected");
	hs->mode = NBD_EXTENDED;
	return reply(hs, opt->number, NBD_REP_ACK);
}

/* Whether base:allocation is among the queries; false in *valid: one of them has no namespace. */
static bool
wants_allocation(const struct nbd_meta_request *request, bool listing, bool *valid)
{
	const uint8_t *at = request->queries;
	bool wanted = listing && request->count == 0;
	uint32_t i, length;

	*valid = true;
	for (i = 0; i < request->count; i++) {
		length = get_be32(at);
		at += 4;
		if (!length || !memchr(at, ':', length))
			*valid = false;
		if (length == strlen(allocation) && memcmp(at, allocation, length) == 0)
			wanted = true;
		if (listing && length == strlen("base:") && memcmp(at, "base:", length) == 0)
			wanted = true;
		at += length;
	}
	return wanted;
}

/* Remember the export of a selection; false: out of memory. */
static bool
bind_contexts(struct nbd_handshake *hs, const struct nbd_meta_request *request)
{
	char *name = NULL;

	if (request->name_length) {
		name = malloc(request->name_length);
		if (!name)
			return false;
		memcpy(name, request->name, request->name_length);
	}
	free(hs->context_name);
	hs->context_name = name;
	hs->context_name_length = request->name_length;
	return true;
}

static enum nbd_step
opt_meta_context(struct nbd_handshake *hs, const struct option *opt)
{
	bool listing = opt->number == NBD_OPT_LIST_META_CONTEXT;
	uint8_t data[4 + sizeof(allocation) - 1];
	struct nbd_meta_request request;
	bool wanted, valid;

	if (!listing)
		hs->contexts = false; /* a failure too ends the earlier selection */
	if (hs->mode == NBD_SIMPLE)
		return refuse(hs, opt->number, NBD_REP_ERR_INVALID, "negotiate replies first");
	if (nbd_get_meta_request(opt->data, opt->length, &request))
		return refuse(hs, opt->number, NBD_REP_ERR_INVALID, "malformed request");
	wanted = wants_allocation(&request, listing, &valid);
	if (!valid)
		return refuse(hs, opt->number, NBD_REP_ERR_INVALID, "query without namespace");
	if (!listing && !bind_contexts(hs, &request))
		return NBD_STEP_CLOSE;
	if (wanted) {
		put_be32(data, listing ? 0 : NBD_CONTEXT_ALLOCATION);
		memcpy(data + 4, allocation, sizeof(allocation) - 1);
		reply_data(hs, opt->number, NBD_REP_META_CONTEXT, data, sizeof(data));
	}
	if (!listing)
		hs->contexts = wanted;
	return reply(hs, opt->number, NBD_REP_ACK);
}

/* ---- messages ---- */

static enum nbd_step
take_option(struct nbd_handshake *hs, const struct nbd_facts *facts, const struct option *opt)
{
	switch (opt->number) {
	case NBD_OPT_EXPORT_NAME:
		return opt_export_name(hs, facts, opt);
	case NBD_OPT_ABORT:
		reply(hs, opt->number, NBD_REP_ACK);
		return NBD_STEP_CLOSE;
	case NBD_OPT_LIST:
		return opt_list(hs, opt);
	case NBD_OPT_INFO:
	case NBD_OPT_GO:
		return opt_info(hs, facts, opt);
	case NBD_OPT_STRUCTURED_REPLY:
		return opt_structured_reply(hs, opt);
	case NBD_OPT_LIST_META_CONTEXT:
	case NBD_OPT_SET_META_CONTEXT:
		return opt_meta_context(hs, opt);
	case NBD_OPT_EXTENDED_HEADERS:
		return opt_extended_headers(hs, opt);
	default: /* STARTTLS too: there is no TLS here */
		return reply(hs, opt->number, NBD_REP_ERR_UNSUP);
	}
}

static enum nbd_step
take_client_flags(struct nbd_handshake *hs, const uint8_t *data, size_t length, size_t *used)
{
	uint32_t flags;

	if (length < NBD_CLIENT_FLAGS_SIZE)
		return NBD_STEP_MORE;
	*used = NBD_CLIENT_FLAGS_SIZE;
	flags = get_be32(data);
	if (flags & ~(NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES))
		return NBD_STEP_CLOSE;
	hs->no_zeroes = flags & NBD_FLAG_NO_ZEROES;
	hs->flags_known = true;
	return NBD_STEP_NEXT;
}

static enum nbd_step
take_drain(struct nbd_handshake *hs, size_t length, size_t *used)
{
	if (!length)
		return NBD_STEP_MORE;
	*used = length < hs->drain ? length : hs->drain;
	hs->drain -= (uint32_t)*used;
	if (!hs->drain)
		refuse(hs, hs->drain_option, NBD_REP_ERR_TOO_BIG, "option too long");
	return NBD_STEP_NEXT;
}

enum nbd_step
nbd_handshake_feed(struct nbd_handshake *hs, const struct nbd_facts *facts, const uint8_t *data,
		   size_t length, size_t *used)
{
	struct nbd_option_header header;
	struct option opt;

	*used = 0;
	if (!hs->flags_known)
		return take_client_flags(hs, data, length, used);
	if (hs->drain)
		return take_drain(hs, length, used);
	if (length < NBD_OPTION_SIZE)
		return NBD_STEP_MORE;
	if (nbd_get_option(data, &header) || header.length > NBD_OPTION_DRAIN_MAX ||
	    hs->options >= NBD_OPTIONS_MAX)
		return NBD_STEP_CLOSE;
	if (header.length > NBD_OPTION_DATA_MAX) {
		if (header.option == NBD_OPT_EXPORT_NAME)
			return NBD_STEP_CLOSE;
		if (header.option == NBD_OPT_SET_META_CONTEXT)
			hs->contexts = false;
		hs->options++;
		hs->drain = header.length;
		hs->drain_option = header.option;
		*used = NBD_OPTION_SIZE;
		return NBD_STEP_NEXT;
	}
	if (length - NBD_OPTION_SIZE < header.length)
		return NBD_STEP_MORE;
	hs->options++;
	opt.number = header.option;
	opt.data = data + NBD_OPTION_SIZE;
	opt.length = header.length;
	*used = NBD_OPTION_SIZE + (size_t)header.length;
	return take_option(hs, facts, &opt);
}
