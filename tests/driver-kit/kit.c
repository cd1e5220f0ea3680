/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Images, servers and requests for the items.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cbt/lib/cbt.h"
#include "common/minor.h"
#include "common/rundir.h"
#include "drivers/core/loop.h"
#include "drivers/tapdisk-disktype.h"
#include "tests/driver-kit/kit.h"
#include "tests/driver-kit/make-vhd.h"

#define MAX_TURNS 10000000
#define BUFFER_ALIGN 4096

#define KIT_BLOCK_SIZE (128u << 10) /* of images that have blocks */

bool
kit_fail(struct kit *kit, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(kit->why, sizeof(kit->why), format, args);
	va_end(args);
	return false;
}

uint64_t
kit_random(struct kit *kit, uint64_t limit)
{
	return ((uint64_t)rand_r(&kit->seed) << 16 ^ (uint64_t)rand_r(&kit->seed)) % limit;
}

int
kit_open_fds(void)
{
	DIR *list = opendir("/proc/self/fd");
	int count = 0;

	while (list && readdir(list))
		count++;
	if (list)
		closedir(list);
	return count;
}

struct fake_control *
kit_control(struct kit *kit)
{
	return fake_control(tapdisk_server_loop(kit->server));
}

/* For what no later item could be tested after. */
static void
driver_must(bool ok, const char *rule)
{
	if (ok)
		return;
	fprintf(stderr, "the driver must %s\n", rule);
	exit(99);
}

/* ---- images -------------------------------------------------------------------------------------
 */

static void
must(bool ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	exit(99);
}

static void
make_raw(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	must(fd >= 0 && ftruncate(fd, (off_t)KIT_SECTORS << SECTOR_SHIFT) == 0, path);
	close(fd);
}

static void
make_file(struct kit *kit)
{
	make_raw(kit->image);
}

static void
make_vhd_image(struct kit *kit, uint32_t type, const char *parent, const vhd_uuid_t *parent_uuid)
{
	struct make_vhd how = {
		.type = type,
		.sectors = KIT_SECTORS,
		.block_size = KIT_BLOCK_SIZE,
		.batmap = true,
		.parent = parent,
		.parent_uuid = parent_uuid,
	};

	must(make_vhd(kit->image, &how, NULL) == 0, kit->image);
}

static void
make_vhd_fixed(struct kit *kit)
{
	make_vhd_image(kit, VHD_TYPE_FIXED, NULL, NULL);
}

static void
make_vhd_dynamic(struct kit *kit)
{
	make_vhd_image(kit, VHD_TYPE_DYNAMIC, NULL, NULL);
}

static void
make_vhd_over_vhd(struct kit *kit)
{
	struct make_vhd how = { .type = VHD_TYPE_DYNAMIC,
				.sectors = KIT_SECTORS / 2,
				.block_size = 2 * KIT_BLOCK_SIZE };
	vhd_uuid_t uuid;

	must(make_vhd(kit->parent, &how, &uuid) == 0, kit->parent);
	make_vhd_image(kit, VHD_TYPE_DIFFERENCING, "./parent", &uuid);
}

static void
make_vhd_over_raw(struct kit *kit)
{
	make_raw(kit->parent);
	make_vhd_image(kit, VHD_TYPE_DIFFERENCING, "./parent", NULL);
}

/* A file of changed blocks for a raw image, with none of them set. */
static void
make_change_log(struct kit *kit)
{
	const struct cbt_header header = { .size = (uint64_t)KIT_SECTORS << SECTOR_SHIFT };
	int fd;

	make_raw(kit->image);
	snprintf(kit->changes, sizeof(kit->changes), "%s/changes", kit->dir);
	fd = open(kit->changes, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	must(fd >= 0 && cbt_write_header(fd, &header) == 0 &&
		     ftruncate(fd, CBT_HEADER_BYTES + (off_t)cbt_bitmap_bytes(header.size)) == 0,
	     kit->changes);
	close(fd);
	snprintf(kit->params, sizeof(kit->params), "log:cbt=%s|aio:%s", kit->changes, kit->image);
}

#define KEEPS .keeps_data = true, .is_persistent = true
#define RAW .is_file = true, .is_raw = true
#define FORMAT(of, kind) .variant = " " of, .make = kind, .is_file = true, KEEPS

/* What the drivers are tried on. */
static const struct kit_kind kinds[] = {
	{ .handle = "null", .name = "8M" },
	{ .handle = "ram", .make = make_file, RAW, .keeps_data = true },
	{ .handle = "aio", .make = make_file, RAW, KEEPS },
	{ .handle = "sync", .make = make_file, RAW, KEEPS },
	{ .handle = "log", .make = make_change_log, KEEPS },
	{ .handle = "vhd", FORMAT("dynamic", make_vhd_dynamic) },
	{ .handle = "vhd", FORMAT("fixed", make_vhd_fixed) },
	{ .handle = "vhd", FORMAT("over vhd", make_vhd_over_vhd) },
	{ .handle = "vhd", FORMAT("over raw", make_vhd_over_raw) },
};

/* A driver that is not listed is given a file, and is expected to keep what is written. */
static const struct kit_kind other = { .make = make_file, .keeps_data = true };

const struct kit_kind *
kit_kind(const char *handle, int number)
{
	bool is_known = false;
	size_t i;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(kinds[i].handle, handle) != 0)
			continue;
		is_known = true;
		if (!number--)
			return &kinds[i];
	}
	return is_known || number ? NULL : &other;
}

void
kit_make_image(struct kit *kit)
{
	if (kit->kind->make)
		kit->kind->make(kit);
}

unsigned long
kit_number(const char *variable, unsigned long otherwise)
{
	const char *text = getenv(variable);

	return text ? strtoul(text, NULL, 10) : otherwise;
}

void
kit_choose(struct kit *kit, const char *handle)
{
	kit->types = tapdisk_disktype_table();
	must(kit->types != NULL, "types");
	kit->type = kit->types;
	while (kit->type->handle && strcmp(kit->type->handle, handle) != 0)
		kit->type++;
	must(kit->type->handle != NULL, handle);
}

void
kit_begin(struct kit *kit)
{
	struct tapdisk_config config = { .types = kit->types };
	const char *tmp = getenv("TMPDIR");

	snprintf(kit->dir, sizeof(kit->dir), "%.32s/conform.XXXXXX", tmp ? tmp : "/tmp");
	must(mkdtemp(kit->dir) != NULL, kit->dir);
	snprintf(kit->image, sizeof(kit->image), "%s/image", kit->dir);
	snprintf(kit->parent, sizeof(kit->parent), "%s/parent", kit->dir);
	config.control_dir = kit->dir;
	must(rundir_create(kit->dir) == 0 && tapdisk_server_new(&kit->server, &config) == 0,
	     "server");
	must(minor_allocate(kit->dir, &kit->minor) == 0, "minor");
	must(tapdisk_server_attach(kit->server, kit->minor, &kit->vbd) == 0, "attach");
	kit_control(kit)->seed = kit->seed;
	kit->why[0] = kit->changes[0] = '\0';
	kit->sectors = KIT_SECTORS;
	if (!kit->kind)
		kit->kind = kit_kind(kit->type->handle, 0);
	kit->keeps_data = kit->kind->keeps_data;
	kit->is_persistent = kit->kind->is_persistent;
	kit->is_file = kit->kind->is_file;
	snprintf(kit->params, sizeof(kit->params), "%s:%s", kit->type->handle,
		 kit->kind->name ? kit->kind->name : kit->image);
	kit_make_image(kit);
	kit->model = calloc(KIT_SECTORS, DEFAULT_SECTOR_SIZE);
	must(kit->model != NULL, "model");
}

void
kit_end(struct kit *kit)
{
	char path[96];

	kit_control(kit)->fail_at = 0;
	kit_close(kit);
	tapdisk_server_detach(kit->server, kit->vbd);
	tapdisk_server_free(kit->server);
	minor_free(kit->dir, kit->minor);
	unlink(kit->image);
	unlink(kit->parent);
	if (kit->changes[0])
		unlink(kit->changes);
	snprintf(path, sizeof(path), "%s/tapdisk", kit->dir);
	rmdir(path);
	rmdir(kit->dir);
	free(kit->model);
}

/* ---- operations ---------------------------------------------------------------------------------
 */

struct outcome {
	bool ended;
	int err;
};

static void
operation_done(void *arg, int err, const char *why)
{
	struct outcome *outcome = arg;

	(void)why;
	outcome->ended = true;
	outcome->err = err;
}

/* Simulated time is cheap: what has not ended after so many turns never will. */
static void
turn_until(struct kit *kit, const bool *flag)
{
	int turns;

	for (turns = 0; !*flag; turns++) {
		driver_must(turns < MAX_TURNS, "end what it has begun");
		loop_turn(tapdisk_server_loop(kit->server), 0);
	}
}

int
kit_open_name(struct kit *kit, const char *params, td_flag_t flags)
{
	struct vbd_options options = { .params = params, .flags = flags, .parent_minor = -1 };
	struct outcome outcome = { 0 };

	vbd_open(kit->vbd, &options, operation_done, &outcome);
	turn_until(kit, &outcome.ended);
	if (!outcome.err && vbd_sectors(kit->vbd) < kit->sectors)
		kit->sectors = vbd_sectors(kit->vbd);
	return outcome.err;
}

int
kit_open(struct kit *kit, td_flag_t flags)
{
	return kit_open_name(kit, kit->params, flags);
}

int
kit_close(struct kit *kit)
{
	struct outcome outcome = { 0 };

	vbd_close(kit->vbd, false, operation_done, &outcome);
	turn_until(kit, &outcome.ended);
	return outcome.err;
}

int
kit_pause(struct kit *kit)
{
	struct outcome outcome = { 0 };

	vbd_pause(kit->vbd, operation_done, &outcome);
	turn_until(kit, &outcome.ended);
	return outcome.err;
}

int
kit_resume(struct kit *kit)
{
	struct outcome outcome = { 0 };

	vbd_resume(kit->vbd, NULL, operation_done, &outcome);
	turn_until(kit, &outcome.ended);
	return outcome.err;
}

/* ---- requests -----------------------------------------------------------------------------------
 */

static bool
is_filled(const struct kit_request *request)
{
	return request->buf[0] == request->fill &&
	       memcmp(request->buf, request->buf + 1, request->iov.iov_len - 1) == 0;
}

static void
request_done(struct vbd_request *req, int err)
{
	struct kit_request *request = req->arg;

	driver_must(req->op != TD_OP_WRITE || is_filled(request),
		    "not change the data that it is given to write");
	request->ended = true;
	request->times++;
	request->err = err;
}

static void
make_buffer(struct kit_request *request, size_t bytes)
{
	must(posix_memalign((void **)&request->buf, BUFFER_ALIGN, bytes) == 0, "buffer");
	memset(request->buf, request->fill, bytes);
	request->iov = (struct iovec){ request->buf, bytes };
	request->req.iov = &request->iov;
	request->req.iovcnt = 1;
}

struct kit_request *
kit_submit(struct kit *kit, int op, uint64_t sector, uint64_t sectors, uint8_t fill)
{
	struct kit_request *request = calloc(1, sizeof(*request));

	must(request != NULL, "request");
	request->req.op = op;
	request->req.sector = sector;
	request->req.sectors = sectors;
	request->req.done = request_done;
	request->req.arg = request;
	request->fill = op == TD_OP_WRITE ? fill : 0xEE;
	if (op == TD_OP_READ || op == TD_OP_WRITE)
		make_buffer(request, (size_t)sectors << SECTOR_SHIFT);
	vbd_submit(kit->vbd, &request->req);
	return request;
}

int
kit_wait(struct kit *kit, struct kit_request *request)
{
	turn_until(kit, &request->ended);
	return request->err;
}

void
kit_request_free(struct kit_request *request)
{
	free(request->buf);
	free(request);
}

int
kit_run(struct kit *kit, int op, uint64_t sector, uint64_t sectors, uint8_t fill)
{
	struct kit_request *request = kit_submit(kit, op, sector, sectors, fill);
	int err = kit_wait(kit, request);

	if (!err && (op == TD_OP_WRITE || op == TD_OP_WRITE_ZEROES))
		memset(kit->model + (sector << SECTOR_SHIFT), op == TD_OP_WRITE ? fill : 0,
		       (size_t)sectors << SECTOR_SHIFT);
	kit_request_free(request);
	return err;
}

int
kit_status(struct kit *kit, struct vbd_extents *extents)
{
	struct kit_request request = { 0 };

	request.req = (struct vbd_request){
		.op = TD_OP_BLOCK_STATUS,
		.sectors = kit->sectors,
		.extents = extents,
		.done = request_done,
		.arg = &request,
	};
	vbd_submit(kit->vbd, &request.req);
	return kit_wait(kit, &request);
}

int
kit_probe_far(struct kit *kit, uint64_t sector)
{
	struct kit_request *write = kit_submit(kit, TD_OP_WRITE, sector, 8, 0x77), *read;
	int err = kit_wait(kit, write);

	read = kit_submit(kit, TD_OP_READ, sector, 8, 0);
	if (!err)
		err = kit_wait(kit, read);
	else
		kit_wait(kit, read);
	if (!err && memcmp(read->buf, write->buf, read->iov.iov_len) != 0)
		err = -EILSEQ;
	kit_request_free(write);
	kit_request_free(read);
	return err;
}

bool
kit_matches(struct kit *kit)
{
	struct kit_request *request = kit_submit(kit, TD_OP_READ, 0, kit->sectors, 0);
	int err = kit_wait(kit, request);
	bool same =
		!err && memcmp(request->buf, kit->model, (size_t)kit->sectors << SECTOR_SHIFT) == 0;

	kit_request_free(request);
	if (!same)
		kit_fail(kit, err ? "reading the whole disk: %s" : "data differ from the model%s",
			 err ? strerror(-err) : "");
	return same;
}
