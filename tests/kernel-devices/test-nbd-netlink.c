/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages to and from the kernel's NBD client. */
#include <errno.h>
#include <string.h>

#include <check.h>

#include "common/nbd-netlink.h"

/* Numbers stand in the host's byte order: these are those of a little-endian one. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define SKIP_ELSEWHERE
#else
#define SKIP_ELSEWHERE return
#endif

static void
expect(const uint8_t *message, size_t length, const uint8_t *wanted, size_t wanted_length)
{
	ck_assert_uint_eq(length, wanted_length);
	ck_assert_mem_eq(message, wanted, wanted_length);
}

START_TEST(the_family_is_asked_for_by_name)
{
	static const uint8_t wanted[] = {
		28, 0, 0, 0, 0x10, 0,   5,   0, 0, 0, 0, 0, 0, 0, 0, 0, /* to the controller */
		3,  1, 0, 0,                                            /* GETFAMILY */
		8,  0, 2, 0, 'n',  'b', 'd', 0,
	};
	uint8_t message[NBD_NETLINK_ROOM];

	SKIP_ELSEWHERE;
	expect(message, nbd_netlink_put_family(message), wanted, sizeof(wanted));
}
END_TEST

START_TEST(a_device_has_size_flags_and_one_socket)
{
	/* clang-format off */
	static const uint8_t wanted[] = {
		92, 0, 0, 0, 0x21, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0,     /* to the family */
		1, 1, 0, 0,                                             /* CONNECT */
		12, 0, 2, 0, 0, 0, 0x10, 0, 0, 0, 0, 0,                 /* 1 MiB */
		12, 0, 3, 0, 0, 2, 0, 0, 0, 0, 0, 0,                    /* blocks of 512 bytes */
		12, 0, 5, 0, 0x6d, 1, 0, 0, 0, 0, 0, 0,                 /* flags */
		16, 0, 7, 0x80, 12, 0, 1, 0x80, 8, 0, 1, 0, 9, 0, 0, 0, /* sockets: one: fd 9 */
		18, 0, 10, 0, 't', 'a', 'p', 'd', 'i', 's', 'k', '2', ':', '1', '.', '2', '3', 0,
		0, 0,
	};
	/* clang-format on */
	const struct nbd_netlink_device device = {
		.bytes = 1 << 20,
		.block_bytes = 512,
		.flags = 0x16d,
		.fd = 9,
		.backend = "tapdisk2:1.23",
	};
	uint8_t message[NBD_NETLINK_ROOM];

	SKIP_ELSEWHERE;
	expect(message, nbd_netlink_put_connect(message, 0x21, &device), wanted, sizeof(wanted));
}
END_TEST

START_TEST(the_longest_name_fits)
{
	char name[2 * NBD_NETLINK_BACKEND];
	struct nbd_netlink_device device = { .backend = name };
	uint8_t message[NBD_NETLINK_ROOM];

	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	ck_assert_uint_le(nbd_netlink_put_connect(message, 0x21, &device), NBD_NETLINK_ROOM);
}
END_TEST

START_TEST(a_device_is_disconnected_by_number)
{
	static const uint8_t wanted[] = {
		28, 0, 0, 0, 0x21, 0, 5, 0, 0, 0, 0, 0, 0, 0,
		0,  0, 2, 1, 0,    0, 8, 0, 1, 0, 7, 0, 0, 0,
	};
	uint8_t message[NBD_NETLINK_ROOM];

	SKIP_ELSEWHERE;
	expect(message, nbd_netlink_put_disconnect(message, 0x21, 7), wanted, sizeof(wanted));
}
END_TEST

/* The number of the family comes among others. */
static const uint8_t family_answer[] = {
	36, 0, 0, 0, 0x10, 0, 0,   0,   0,   0, 0, 0, 0, 0, 0,    0, 1, 2,
	0,  0, 8, 0, 2,    0, 'n', 'b', 'd', 0, 6, 0, 1, 0, 0x21, 0, 0, 0,
};

START_TEST(answers_are_understood)
{
	static const uint8_t device[] = {
		28, 0, 0, 0, 0x21, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		0,  0, 1, 1, 0,    0, 8, 0, 1, 0, 5, 0, 0, 0,
	};
	static const uint8_t end[] = {
		36, 0, 0,  0, 2, 0, 0,    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		0,  0, 28, 0, 0, 0, 0x21, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	};
	uint8_t refusal[36], both[sizeof(device) + sizeof(end)];
	struct nbd_netlink_answer answer;

	SKIP_ELSEWHERE;
	ck_assert_int_eq(nbd_netlink_get(family_answer, sizeof(family_answer), &answer), 0);
	ck_assert_int_eq(answer.family, 0x21);
	ck_assert(!answer.ended);
	ck_assert_int_eq(nbd_netlink_get(device, sizeof(device), &answer), 0);
	ck_assert_int_eq(answer.device, 5);
	ck_assert(!answer.ended);

	memcpy(both, device, sizeof(device));
	memcpy(both + sizeof(device), end, sizeof(end));
	ck_assert_int_eq(nbd_netlink_get(both, sizeof(both), &answer), 0);
	ck_assert_int_eq(answer.device, 5);
	ck_assert(answer.ended);
	ck_assert_int_eq(answer.err, 0);

	memcpy(refusal, end, sizeof(end));
	refusal[16] = 0xf0; /* -16 */
	memset(refusal + 17, 0xff, 3);
	ck_assert_int_eq(nbd_netlink_get(refusal, sizeof(refusal), &answer), 0);
	ck_assert(answer.ended);
	ck_assert_int_eq(answer.err, -EBUSY);
}
END_TEST

START_TEST(torn_answers_are_refused)
{
	struct nbd_netlink_answer answer;
	uint8_t bytes[sizeof(family_answer)];
	size_t length;

	SKIP_ELSEWHERE;
	for (length = 0; length < sizeof(family_answer); length++)
		ck_assert_int_eq(nbd_netlink_get(family_answer, length, &answer), -EPROTO);
	/* Lengths inside that lie: nothing is found, nothing is read beyond. */
	memcpy(bytes, family_answer, sizeof(bytes));
	bytes[20] = 200;
	ck_assert_int_eq(nbd_netlink_get(bytes, sizeof(bytes), &answer), 0);
	ck_assert_int_eq(answer.family, -1);
	bytes[20] = 0;
	ck_assert_int_eq(nbd_netlink_get(bytes, sizeof(bytes), &answer), 0);
	ck_assert_int_eq(answer.family, -1);
	memcpy(bytes, family_answer, sizeof(bytes));
	bytes[0] = 15;
	ck_assert_int_eq(nbd_netlink_get(bytes, sizeof(bytes), &answer), -EPROTO);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("nbd-netlink");
	TCase *tcase = tcase_create("messages");
	SRunner *runner;
	int failed;

	tcase_add_test(tcase, the_family_is_asked_for_by_name);
	tcase_add_test(tcase, a_device_has_size_flags_and_one_socket);
	tcase_add_test(tcase, the_longest_name_fits);
	tcase_add_test(tcase, a_device_is_disconnected_by_number);
	tcase_add_test(tcase, answers_are_understood);
	tcase_add_test(tcase, torn_answers_are_refused);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
