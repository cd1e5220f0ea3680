/* SPDX-License-Identifier: BSD-2-Clause */
/* The option phase, message by message: what is answered, and what ends it. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "drivers/frontend/nbd-handshake.h"

static const struct nbd_facts facts = { .size = 1u << 20, .flags = NBD_FLAG_HAS_FLAGS };

struct peer {
	struct nbd_handshake hs;
	uint8_t message[128 * 1024];
	size_t used;
};

static struct peer *
new_peer(void)
{
	struct peer *peer = calloc(1, sizeof(*peer));

	ck_assert_ptr_nonnull(peer);
	nbd_handshake_init(&peer->hs);
	ck_assert_uint_eq(peer->hs.out_size, NBD_GREETING_SIZE);
	ck_assert_uint_eq(get_be64(peer->hs.out), NBD_INIT_MAGIC);
	ck_assert_uint_eq(get_be16(peer->hs.out + 16), 3);
	return peer;
}

static void
free_peer(struct peer *peer)
{
	nbd_handshake_fini(&peer->hs);
	free(peer);
}

static enum nbd_step
send_flags(struct peer *peer, uint32_t flags)
{
	put_be32(peer->message, flags);
	peer->hs.out_size = 0;
	return nbd_handshake_feed(&peer->hs, &facts, peer->message, 4, &peer->used);
}

static struct peer *
greeted_peer(void)
{
	struct peer *peer = new_peer();

	ck_assert_int_eq(send_flags(peer, 3), NBD_STEP_NEXT);
	return peer;
}

/* One option whose declared length may differ from what is there. */
static enum nbd_step
send_raw(struct peer *peer, uint32_t option, const void *data, size_t size, uint32_t declared)
{
	put_be64(peer->message, NBD_OPTION_MAGIC);
	put_be32(peer->message + 8, option);
	put_be32(peer->message + 12, declared);
	if (size)
		memcpy(peer->message + NBD_OPTION_SIZE, data, size);
	peer->hs.out_size = 0;
	return nbd_handshake_feed(&peer->hs, &facts, peer->message, NBD_OPTION_SIZE + size,
				  &peer->used);
}

static enum nbd_step
send_option(struct peer *peer, uint32_t option, const void *data, size_t size)
{
	enum nbd_step step = send_raw(peer, option, data, size, (uint32_t)size);

	if (step != NBD_STEP_CLOSE)
		ck_assert_uint_eq(peer->used, NBD_OPTION_SIZE + size);
	return step;
}

/* The type of the index-th reply; its data from *data on. */
static uint32_t
reply_type(const struct peer *peer, unsigned index, const uint8_t **data, uint32_t *size)
{
	const uint8_t *at = peer->hs.out;

	for (;; index--) {
		ck_assert_uint_le((size_t)(at - peer->hs.out) + NBD_OPTION_REPLY_SIZE,
				  peer->hs.out_size);
		ck_assert_uint_eq(get_be64(at), NBD_OPTION_REPLY_MAGIC);
		*size = get_be32(at + 16);
		*data = at + NBD_OPTION_REPLY_SIZE;
		if (!index)
			return get_be32(at + 12);
		at += NBD_OPTION_REPLY_SIZE + *size;
	}
}

static void
expect_only(const struct peer *peer, uint32_t type)
{
	const uint8_t *data;
	uint32_t size;

	ck_assert_uint_eq(reply_type(peer, 0, &data, &size), type);
	ck_assert_uint_eq(peer->hs.out_size, NBD_OPTION_REPLY_SIZE + size);
}

/* INFO and GO data: a name and info types; returns the size. */
static size_t
info_data(uint8_t *at, const char *name, uint16_t count, const uint16_t *types)
{
	size_t length = strlen(name);
	uint16_t i;

	put_be32(at, (uint32_t)length);
	memcpy(at + 4, name, length);
	put_be16(at + 4 + length, count);
	for (i = 0; i < count; i++)
		put_be16(at + 6 + length + 2 * i, types[i]);
	return 6 + length + 2u * count;
}

static size_t
meta_data(uint8_t *at, const char *name, uint32_t count, const char *const *queries)
{
	size_t length = strlen(name), size = 8 + length;
	uint32_t i;

	put_be32(at, (uint32_t)length);
	memcpy(at + 4, name, length);
	put_be32(at + 4 + length, count);
	for (i = 0; i < count; i++) {
		put_be32(at + size, (uint32_t)strlen(queries[i]));
		memcpy(at + size + 4, queries[i], strlen(queries[i]));
		size += 4 + strlen(queries[i]);
	}
	return size;
}

static enum nbd_step
send_info(struct peer *peer, uint32_t option, const char *name)
{
	uint8_t data[8192];

	return send_option(peer, option, data, info_data(data, name, 0, NULL));
}

static enum nbd_step
send_meta(struct peer *peer, uint32_t option, const char *name, const char *query)
{
	uint8_t data[8192];

	return send_option(peer, option, data, meta_data(data, name, query != NULL, &query));
}

START_TEST(unknown_client_flags_close)
{
	struct peer *peer = new_peer();

	ck_assert_int_eq(send_flags(peer, 4), NBD_STEP_CLOSE);
	free_peer(peer);
}
END_TEST

START_TEST(short_messages_wait)
{
	struct peer *peer = new_peer();
	size_t i;

	put_be32(peer->message, 3);
	peer->hs.out_size = 0;
	for (i = 0; i < 4; i++)
		ck_assert_int_eq(
			nbd_handshake_feed(&peer->hs, &facts, peer->message, i, &peer->used),
			NBD_STEP_MORE);
	send_flags(peer, 3);
	ck_assert_int_eq(send_raw(peer, NBD_OPT_EXPORT_NAME, "ab", 2, 3), NBD_STEP_MORE);
	ck_assert_uint_eq(peer->used, 0);
	for (i = 0; i < NBD_OPTION_SIZE; i++)
		ck_assert_int_eq(
			nbd_handshake_feed(&peer->hs, &facts, peer->message, i, &peer->used),
			NBD_STEP_MORE);
	free_peer(peer);
}
END_TEST

START_TEST(export_name_with_and_without_zeroes)
{
	struct peer *peer = greeted_peer();

	ck_assert_int_eq(send_option(peer, NBD_OPT_EXPORT_NAME, "any", 3), NBD_STEP_READY);
	ck_assert_uint_eq(peer->hs.out_size, 10);
	ck_assert_uint_eq(get_be64(peer->hs.out), facts.size);
	ck_assert_uint_eq(get_be16(peer->hs.out + 8), NBD_FLAG_HAS_FLAGS);
	free_peer(peer);

	peer = new_peer();
	send_flags(peer, 1);
	ck_assert_int_eq(send_option(peer, NBD_OPT_EXPORT_NAME, NULL, 0), NBD_STEP_READY);
	ck_assert_uint_eq(peer->hs.out_size, 134);
	free_peer(peer);
}
END_TEST

START_TEST(list_shows_one_export)
{
	struct peer *peer = greeted_peer();
	const uint8_t *data;
	uint32_t size;

	ck_assert_int_eq(send_option(peer, NBD_OPT_LIST, NULL, 0), NBD_STEP_NEXT);
	ck_assert_uint_eq(reply_type(peer, 0, &data, &size), NBD_REP_SERVER);
	ck_assert_uint_eq(get_be32(data), 14);
	ck_assert_mem_eq(data + 4, "tapdisk_client", 14);
	ck_assert_uint_eq(reply_type(peer, 1, &data, &size), NBD_REP_ACK);
	ck_assert_int_eq(send_option(peer, NBD_OPT_LIST, "x", 1), NBD_STEP_NEXT);
	expect_only(peer, NBD_REP_ERR_INVALID);
	free_peer(peer);
}
END_TEST

START_TEST(go_answers_what_was_asked)
{
	static const uint16_t types[] = { 0, 3, 1, 3, 2, 99 };
	struct peer *peer = greeted_peer();
	uint8_t request[64];
	const uint8_t *data;
	uint32_t size;

	ck_assert_int_eq(send_info(peer, NBD_OPT_INFO, ""), NBD_STEP_NEXT);
	ck_assert_uint_eq(reply_type(peer, 0, &data, &size), NBD_REP_INFO);
	ck_assert_uint_eq(size, 12);
	ck_assert_uint_eq(reply_type(peer, 1, &data, &size), NBD_REP_ACK);
	send_option(peer, NBD_OPT_STRUCTURED_REPLY, NULL, 0);
	expect_only(peer, NBD_REP_ACK);
	ck_assert_int_eq(send_option(peer, NBD_OPT_GO, request, info_data(request, "x", 6, types)),
			 NBD_STEP_READY);
	reply_type(peer, 0, &data, &size);
	ck_assert_uint_eq(get_be16(data), NBD_INFO_EXPORT);
	ck_assert_uint_eq(get_be16(data + 10), NBD_FLAG_HAS_FLAGS | NBD_FLAG_SEND_DF);
	reply_type(peer, 1, &data, &size);
	ck_assert_uint_eq(get_be16(data), NBD_INFO_NAME);
	reply_type(peer, 2, &data, &size);
	ck_assert_uint_eq(get_be16(data), NBD_INFO_BLOCK_SIZE);
	ck_assert_uint_eq(size, 14);
	ck_assert_uint_eq(get_be32(data + 2), 1);
	ck_assert_uint_eq(get_be32(data + 6), 4096);
	ck_assert_uint_eq(get_be32(data + 10), 32u << 20);
	ck_assert_uint_eq(reply_type(peer, 3, &data, &size), NBD_REP_ACK);
	free_peer(peer);
}
END_TEST

/* Lengths that do not add up, each for INFO, GO and the context options. */
static const struct {
	uint32_t option;
	size_t size;
	uint8_t data[16];
} malformed[] = {
	{ NBD_OPT_GO, 0, { 0 } },
	{ NBD_OPT_GO, 5, { 0 } },
	{ NBD_OPT_GO, 6, { 0, 0, 0, 1 } },
	{ NBD_OPT_GO, 6, { 0xFF, 0xFF, 0xFF, 0xFF } },
	{ NBD_OPT_GO, 6, { 0, 0, 0, 0, 0, 1 } },
	{ NBD_OPT_GO, 6, { 0, 0, 0, 0, 0xFF, 0xFF } },
	{ NBD_OPT_INFO, 7, { 0, 0, 0, 0, 0, 0 } },
	{ NBD_OPT_INFO, 9, { 0, 0, 0, 0, 0, 1, 0, 0, 0 } },
	{ NBD_OPT_SET_META_CONTEXT, 7, { 0 } },
	{ NBD_OPT_SET_META_CONTEXT, 8, { 0, 0, 0, 1 } },
	{ NBD_OPT_SET_META_CONTEXT, 8, { 0, 0, 0, 0, 0, 0, 0, 1 } },
	{ NBD_OPT_SET_META_CONTEXT, 8, { 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF } },
	{ NBD_OPT_SET_META_CONTEXT, 12, { 0, 0, 0, 0, 0, 0, 0, 1, 0xFF, 0xFF, 0xFF, 0xFF } },
	{ NBD_OPT_SET_META_CONTEXT, 12, { 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1 } },
	{ NBD_OPT_LIST_META_CONTEXT, 9, { 0 } },
	{ NBD_OPT_STRUCTURED_REPLY, 1, { 0 } },
	{ NBD_OPT_EXTENDED_HEADERS, 1, { 0 } },
};

START_TEST(malformed_options_are_invalid)
{
	struct peer *peer = greeted_peer();

	send_option(peer, NBD_OPT_STRUCTURED_REPLY, NULL, 0);
	ck_assert_int_eq(
		send_option(peer, malformed[_i].option, malformed[_i].data, malformed[_i].size),
		NBD_STEP_NEXT);
	expect_only(peer, NBD_REP_ERR_INVALID);
	ck_assert_int_eq(send_info(peer, NBD_OPT_GO, ""), NBD_STEP_READY);
	free_peer(peer);
}
END_TEST

START_TEST(unknown_options_are_refused)
{
	static const uint32_t options[] = { 4, NBD_OPT_STARTTLS, 0, 12, 0xFFFFFFFF };
	struct peer *peer = greeted_peer();
	size_t i;

	for (i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		ck_assert_int_eq(send_option(peer, options[i], "data", 4), NBD_STEP_NEXT);
		expect_only(peer, NBD_REP_ERR_UNSUP);
	}
	ck_assert_int_eq(send_option(peer, NBD_OPT_ABORT, "data", 4), NBD_STEP_CLOSE);
	expect_only(peer, NBD_REP_ACK);
	free_peer(peer);
}
END_TEST

START_TEST(names_are_bounded)
{
	struct peer *peer = greeted_peer();
	char name[NBD_NAME_MAX + 2];

	memset(name, 'n', sizeof(name));
	name[NBD_NAME_MAX + 1] = '\0';
	ck_assert_int_eq(send_info(peer, NBD_OPT_GO, name), NBD_STEP_NEXT);
	expect_only(peer, NBD_REP_ERR_INVALID);
	ck_assert_int_eq(send_option(peer, NBD_OPT_EXPORT_NAME, name, NBD_NAME_MAX + 1),
			 NBD_STEP_CLOSE);
	name[NBD_NAME_MAX] = '\0';
	ck_assert_int_eq(send_info(peer, NBD_OPT_GO, name), NBD_STEP_READY);
	free_peer(peer);
}
END_TEST

START_TEST(long_options_are_drained)
{
	struct peer *peer = greeted_peer();
	uint32_t left = NBD_OPTION_DRAIN_MAX;
	size_t used;

	ck_assert_int_eq(send_raw(peer, NBD_OPT_LIST, NULL, 0, left), NBD_STEP_NEXT);
	ck_assert_uint_eq(peer->hs.out_size, 0);
	while (left) {
		ck_assert_uint_eq(peer->hs.out_size, 0);
		ck_assert_int_eq(nbd_handshake_feed(&peer->hs, &facts, peer->message,
						    sizeof(peer->message), &used),
				 NBD_STEP_NEXT);
		left -= (uint32_t)used;
	}
	expect_only(peer, NBD_REP_ERR_TOO_BIG);
	ck_assert_int_eq(send_option(peer, NBD_OPT_LIST, NULL, 0), NBD_STEP_NEXT);
	ck_assert_int_eq(send_raw(peer, NBD_OPT_LIST, NULL, 0, NBD_OPTION_DRAIN_MAX + 1),
			 NBD_STEP_CLOSE);
	free_peer(peer);
}
END_TEST

START_TEST(options_are_counted)
{
	struct peer *peer = greeted_peer();
	int i;

	for (i = 0; i < NBD_OPTIONS_MAX; i++)
		ck_assert_int_eq(send_option(peer, NBD_OPT_LIST, NULL, 0), NBD_STEP_NEXT);
	ck_assert_int_eq(send_option(peer, NBD_OPT_LIST, NULL, 0), NBD_STEP_CLOSE);
	free_peer(peer);
}
END_TEST

START_TEST(wrong_magic_closes)
{
	struct peer *peer = greeted_peer();

	memset(peer->message, 'G', NBD_OPTION_SIZE);
	ck_assert_int_eq(
		nbd_handshake_feed(&peer->hs, &facts, peer->message, NBD_OPTION_SIZE, &peer->used),
		NBD_STEP_CLOSE);
	free_peer(peer);
}
END_TEST

START_TEST(extended_headers_take_precedence)
{
	struct peer *peer = greeted_peer();

	send_option(peer, NBD_OPT_EXTENDED_HEADERS, NULL, 0);
	expect_only(peer, NBD_REP_ACK);
	send_option(peer, NBD_OPT_STRUCTURED_REPLY, NULL, 0);
	expect_only(peer, NBD_REP_ERR_EXT_HEADER_REQD);
	ck_assert_int_eq(peer->hs.mode, NBD_EXTENDED);
	ck_assert_int_eq(send_option(peer, NBD_OPT_EXPORT_NAME, NULL, 0), NBD_STEP_CLOSE);
	free_peer(peer);
}
END_TEST

START_TEST(contexts_need_structured_replies)
{
	struct peer *peer = greeted_peer();

	send_meta(peer, NBD_OPT_SET_META_CONTEXT, "", "base:allocation");
	expect_only(peer, NBD_REP_ERR_INVALID);
	send_meta(peer, NBD_OPT_LIST_META_CONTEXT, "", NULL);
	expect_only(peer, NBD_REP_ERR_INVALID);
	free_peer(peer);
}
END_TEST

START_TEST(contexts_are_listed)
{
	static const char *const matching[] = { NULL, "base:", "base:allocation" };
	static const char *const others[] = { "qemu:", "base:other", "base:allocations", "x:y" };
	struct peer *peer = greeted_peer();
	const uint8_t *data;
	uint32_t size;
	size_t i;

	send_option(peer, NBD_OPT_STRUCTURED_REPLY, NULL, 0);
	for (i = 0; i < 3; i++) {
		send_meta(peer, NBD_OPT_LIST_META_CONTEXT, "", matching[i]);
		ck_assert_uint_eq(reply_type(peer, 0, &data, &size), NBD_REP_META_CONTEXT);
		ck_assert_uint_eq(get_be32(data), 0);
		ck_assert_uint_eq(size, 19);
		ck_assert_mem_eq(data + 4, "base:allocation", 15);
		ck_assert_uint_eq(reply_type(peer, 1, &data, &size), NBD_REP_ACK);
	}
	for (i = 0; i < 4; i++) {
		send_meta(peer, NBD_OPT_LIST_META_CONTEXT, "", others[i]);
		expect_only(peer, NBD_REP_ACK);
	}
	send_meta(peer, NBD_OPT_LIST_META_CONTEXT, "", "nocolon");
	expect_only(peer, NBD_REP_ERR_INVALID);
	send_meta(peer, NBD_OPT_LIST_META_CONTEXT, "", "");
	expect_only(peer, NBD_REP_ERR_INVALID);
	free_peer(peer);
}
END_TEST

START_TEST(a_selection_is_bound_to_its_export)
{
	struct peer *peer = greeted_peer();
	const uint8_t *data;
	uint32_t size;

	send_option(peer, NBD_OPT_STRUCTURED_REPLY, NULL, 0);
	send_meta(peer, NBD_OPT_SET_META_CONTEXT, "A", "base:allocation");
	ck_assert_uint_eq(reply_type(peer, 0, &data, &size), NBD_REP_META_CONTEXT);
	ck_assert_uint_eq(get_be32(data), NBD_CONTEXT_ALLOCATION);
	ck_assert_int_eq(send_info(peer, NBD_OPT_INFO, "B"), NBD_STEP_NEXT);
	ck_assert(peer->hs.contexts);
	ck_assert_int_eq(send_info(peer, NBD_OPT_GO, "B"), NBD_STEP_READY);
	ck_assert(!peer->hs.contexts);
	free_peer(peer);

	peer = greeted_peer();
	send_option(peer, NBD_OPT_STRUCTURED_REPLY, NULL, 0);
	send_meta(peer, NBD_OPT_SET_META_CONTEXT, "A", "base:allocation");
	ck_assert_int_eq(send_info(peer, NBD_OPT_GO, "A"), NBD_STEP_READY);
	ck_assert(peer->hs.contexts);
	free_peer(peer);
}
END_TEST

START_TEST(a_later_selection_replaces_the_earlier)
{
	static const char *const later[] = { NULL, "base:", "x:y", "nocolon" };
	struct peer *peer = greeted_peer();

	send_option(peer, NBD_OPT_STRUCTURED_REPLY, NULL, 0);
	send_meta(peer, NBD_OPT_SET_META_CONTEXT, "A", "base:allocation");
	ck_assert(peer->hs.contexts);
	send_meta(peer, NBD_OPT_SET_META_CONTEXT, "A", later[_i]);
	ck_assert(!peer->hs.contexts);
	free_peer(peer);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("nbd-handshake");
	TCase *tcase = tcase_create("options");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tcase);
	tcase_add_test(tcase, unknown_client_flags_close);
	tcase_add_test(tcase, short_messages_wait);
	tcase_add_test(tcase, export_name_with_and_without_zeroes);
	tcase_add_test(tcase, list_shows_one_export);
	tcase_add_test(tcase, go_answers_what_was_asked);
	tcase_add_loop_test(tcase, malformed_options_are_invalid, 0,
			    sizeof(malformed) / sizeof(malformed[0]));
	tcase_add_test(tcase, unknown_options_are_refused);
	tcase_add_test(tcase, names_are_bounded);
	tcase_add_test(tcase, long_options_are_drained);
	tcase_add_test(tcase, options_are_counted);
	tcase_add_test(tcase, wrong_magic_closes);
	tcase_add_test(tcase, extended_headers_take_precedence);
	tcase_add_test(tcase, contexts_need_structured_replies);
	tcase_add_test(tcase, contexts_are_listed);
	tcase_add_test(tcase, a_selection_is_bound_to_its_export);
	tcase_add_loop_test(tcase, a_later_selection_replaces_the_earlier, 0, 4);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
