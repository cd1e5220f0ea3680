/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Children of images, when something fails: a change of the parent that ends anywhere leaves one of
 * both parents, and a snapshot that cannot be made leaves nothing.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/vhd/memory-io.h"
#include "vhd/lib/context.h"

#define SIZE (4u << 20)
#define OLD 'o'
#define NEW 'n'

static char folder[] = "/tmp/vhd-reparent.XXXXXX";
static struct memory_disk disk; /* of the child */
static vhd_context_t vhd;

static void
setup(void)
{
	ck_assert_ptr_nonnull(mkdtemp(folder));
	ck_assert_int_eq(chdir(folder), 0);
	ck_assert_int_eq(mkdir("sub", 0700), 0);
}

static void
teardown(void)
{
	static const char *const names[] = { "old", "n", "the-new-one-has-a-longer-name", "child",
					     "sub/n" };
	size_t i;

	memory_disk_free(&disk);
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unlink(names[i]);
	rmdir("sub");
	ck_assert_int_eq(chdir("/"), 0);
	rmdir(folder);
	memcpy(folder + strlen(folder) - 6, "XXXXXX", 6);
}

/* A file whose disk begins with a sector of that byte. */
static void
make_parent(const char *name, bool raw, char byte)
{
	char sector[512];

	memset(sector, byte, sizeof(sector));
	if (raw) {
		int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

		ck_assert_int_eq(ftruncate(fd, SIZE), 0);
		ck_assert_int_eq(pwrite(fd, sector, sizeof(sector), 0), sizeof(sector));
		close(fd);
		return;
	}
	ck_assert_int_eq(vhd_create(name, SIZE, VHD_TYPE_DYNAMIC, 0, 0), 0);
	ck_assert_int_eq(vhd_open(&vhd, name, VHD_OPEN_RDWR), 0);
	ck_assert_int_eq(vhd_io_write(&vhd, sector, 0, 1), 0);
	ck_assert_int_eq(vhd_close(&vhd), 0);
}

static void
load(struct memory_disk *to, const char *name)
{
	struct stat found;
	int fd = open(name, O_RDONLY | O_CLOEXEC);

	ck_assert_int_eq(fstat(fd, &found), 0);
	memory_disk_resize(to, (size_t)found.st_size);
	ck_assert_int_eq(read(fd, to->at, to->bytes), found.st_size);
	close(fd);
}

static void
store(const struct memory_disk *from, const char *name)
{
	int fd = open(name, O_WRONLY | O_TRUNC | O_CLOEXEC);

	ck_assert_int_eq(write(fd, from->at, from->bytes), (ssize_t)from->bytes);
	close(fd);
}

/* What a reader of the child sees. */
static char
byte_of_child(void)
{
	char sector[512];

	ck_assert_int_eq(vhd_open(&vhd, "child", VHD_OPEN_RDONLY), 0);
	ck_assert_msg(!vhd_io_read(&vhd, sector, 0, 1), "%s", vhd_error(&vhd));
	ck_assert_int_eq(vhd_close(&vhd), 0);
	ck_assert_mem_eq(sector, sector + 1, sizeof(sector) - 1);
	return sector[0];
}

/* ---- another parent -----------------------------------------------------------------------------
 */

/* Without more than one path, and with parents in two folders, nothing but the path helps. */
static const struct change {
	bool from_raw, to_raw;
	const char *to;
	bool one_path;
} changes[] = {
	{ false, false, "n", false },    { false, false, "the-new-one-has-a-longer-name", false },
	{ false, true, "n", false },     { false, true, "the-new-one-has-a-longer-name", false },
	{ true, false, "n", false },     { true, false, "the-new-one-has-a-longer-name", false },
	{ true, true, "n", false },      { true, true, "the-new-one-has-a-longer-name", false },
	{ false, false, "sub/n", true }, { false, true, "sub/n", true },
	{ true, false, "sub/n", true },  { true, true, "sub/n", true },
};

#define CHANGES ((int)(sizeof(changes) / sizeof(changes[0])))

static void
leave_one_path(void)
{
	vhd_header_t header;

	ck_assert_int_eq(vhd_open(&vhd, "child", VHD_OPEN_RDWR), 0);
	header = vhd.header;
	memset(&header.locator[1], 0, sizeof(header.locator) - sizeof(header.locator[0]));
	ck_assert_int_eq(vhd_write_header(&vhd, &header), 0);
	ck_assert_int_eq(vhd_close(&vhd), 0);
}

static void
make_family(const struct change *change)
{
	make_parent("old", change->from_raw, OLD);
	make_parent(change->to, change->to_raw, NEW);
	ck_assert_int_eq(vhd_snapshot("child", 0, "old", 0,
				      change->from_raw ? VHD_FLAG_CREAT_PARENT_RAW : 0),
			 0);
	if (change->one_path)
		leave_one_path();
	ck_assert_int_eq(byte_of_child(), OLD);
}

static int
change_failing_at(const struct change *change, unsigned n, bool stays_down)
{
	int err;

	ck_assert_int_eq(vhd_open_io(&vhd, memory_io(&disk), "child", VHD_OPEN_RDWR, NULL), 0);
	disk.calls = 0;
	disk.fail_at = n;
	disk.stays_down = stays_down;
	err = vhd_change_parent(&vhd, change->to, change->to_raw);
	ck_assert(err == 0 || err == -EIO);
	return err;
}

START_TEST(any_call_may_be_the_last_of_a_change)
{
	const struct change *change = &changes[_i];
	struct memory_disk before = { .at = NULL };
	unsigned n;
	int err = -EIO;
	char byte;

	make_family(change);
	load(&before, "child");
	for (n = 1; err; n++) {
		memory_disk_copy(&disk, &before);
		err = change_failing_at(change, n, true);
		vhd_close(&vhd);
		disk.fail_at = 0;
		store(&disk, "child");
		byte = byte_of_child();
		ck_assert_msg(byte == NEW || (err && byte == OLD), "call %u: %c", n, byte);
	}
	ck_assert_uint_gt(n, 6);
	memory_disk_free(&before);
}
END_TEST

START_TEST(a_change_that_failed_can_be_tried_again)
{
	const struct change *change = &changes[_i];
	struct memory_disk before = { .at = NULL };
	unsigned n;
	int err = -EIO;

	make_family(change);
	load(&before, "child");
	for (n = 1; err; n++) {
		memory_disk_copy(&disk, &before);
		err = change_failing_at(change, n, false);
		if (err)
			ck_assert_int_eq(vhd_change_parent(&vhd, change->to, change->to_raw), 0);
		disk.fail_at = 0;
		ck_assert_int_eq(vhd_close(&vhd), 0);
		store(&disk, "child");
		ck_assert_int_eq(byte_of_child(), NEW);
	}
	memory_disk_free(&before);
}
END_TEST

static int
stop_at(void *arg, enum vhd_point point)
{
	return point == *(enum vhd_point *)arg ? -EINTR : 0;
}

START_TEST(a_change_may_be_stopped_at_each_point)
{
	static const enum vhd_point points[] = { VHD_POINT_REPARENT_BEGIN,
						 VHD_POINT_REPARENT_LOCATOR,
						 VHD_POINT_REPARENT_END };
	enum vhd_point point = points[_i / CHANGES];
	const struct change *change = &changes[_i % CHANGES];
	struct vhd_hooks hooks = { .at = stop_at, .arg = &point };

	make_family(change);
	ck_assert_int_eq(vhd_open(&vhd, "child", VHD_OPEN_RDWR), 0);
	vhd_context_set_hooks(&vhd, &hooks);
	ck_assert_int_eq(vhd_change_parent(&vhd, change->to, change->to_raw), -EINTR);
	ck_assert_int_eq(vhd_close(&vhd), 0);
	if (point == VHD_POINT_REPARENT_BEGIN)
		ck_assert_int_eq(byte_of_child(), OLD);
	else if (point == VHD_POINT_REPARENT_END)
		ck_assert_int_eq(byte_of_child(), NEW);
	else
		ck_assert(byte_of_child() == OLD || byte_of_child() == NEW);
}
END_TEST

/* ---- a snapshot ---------------------------------------------------------------------------------
 */

/* The file of the child can have no more than so many bytes. */
static int
snapshot_within(rlim_t bytes, bool raw)
{
	struct rlimit before, limit;
	int err;

	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
	limit = before;
	limit.rlim_cur = bytes;
	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	err = vhd_snapshot("child", 0, "old", 0, raw ? VHD_FLAG_CREAT_PARENT_RAW : 0);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
	return err;
}

START_TEST(a_snapshot_that_finds_no_room_leaves_nothing)
{
	struct memory_disk before = { .at = NULL };
	rlim_t bytes = 0;
	int err;

	make_parent("old", _i, OLD);
	load(&before, "old");
	while ((err = snapshot_within(bytes, _i)) != 0) {
		ck_assert_int_eq(err, -EFBIG);
		ck_assert_int_eq(access("child", F_OK), -1);
		load(&disk, "old");
		ck_assert_uint_eq(disk.bytes, before.bytes);
		ck_assert_mem_eq(disk.at, before.at, before.bytes);
		bytes += 256;
	}
	ck_assert_uint_gt(bytes, 2048);
	ck_assert_int_eq(byte_of_child(), OLD);
	memory_disk_free(&before);
}
END_TEST

START_TEST(what_cannot_be_a_parent_is_refused)
{
	make_parent("old", true, OLD);
	ck_assert_int_eq(vhd_snapshot("child", 0, "nothing", 0, 0), -ENOENT);
	ck_assert_int_eq(vhd_snapshot("child", 0, "old", 0, 0), -EINVAL);
	ck_assert_int_eq(vhd_snapshot("child", 0, ".", 0, VHD_FLAG_CREAT_PARENT_RAW), -EISDIR);
	ck_assert_int_eq(vhd_snapshot("child", 512, "old", 0, VHD_FLAG_CREAT_PARENT_RAW), -EINVAL);
	ck_assert_int_eq(vhd_snapshot("no/child", 0, "old", 0, VHD_FLAG_CREAT_PARENT_RAW), -ENOENT);
	ck_assert_int_eq(access("child", F_OK), -1);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("vhd-reparent");
	TCase *tests = tcase_create("failures");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tests);
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_loop_test(tests, any_call_may_be_the_last_of_a_change, 0, CHANGES);
	tcase_add_loop_test(tests, a_change_that_failed_can_be_tried_again, 0, CHANGES);
	tcase_add_loop_test(tests, a_change_may_be_stopped_at_each_point, 0, 3 * CHANGES);
	tcase_add_loop_test(tests, a_snapshot_that_finds_no_room_leaves_nothing, 0, 2);
	tcase_add_test(tests, what_cannot_be_a_parent_is_refused);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
