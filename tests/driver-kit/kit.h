/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the items of the conformance suite work with: one driver, a fresh image, an engine on a fake
 * loop, and a model of the disk in memory.
 */
#ifndef TESTS_DRIVER_KIT_KIT_H
#define TESTS_DRIVER_KIT_KIT_H

#include <stdbool.h>
#include <stdint.h>

#include "drivers/core/server.h"
#include "drivers/core/vbd.h"
#include "tests/driver-kit/fake-loop.h"

#define KIT_SECTORS 16384 /* of an image that the kit makes: 8 MiB */

struct kit;

/* A kind of image that a driver is tried on. */
struct kit_kind {
	const char *handle;
	const char *variant; /* what to call it behind the handle; NULL: nothing */
	const char *name;    /* of the image; NULL: the path of a file */
	void (*make)(struct kit *kit);
	bool is_file;       /* the name is a file that make has made */
	bool is_raw;        /* the file holds the sectors, and nothing else */
	bool keeps_data;    /* what is written is read back */
	bool is_persistent; /* also after a close */
};

/* The kinds for a driver, counted from 0; NULL: there are no more. */
const struct kit_kind *kit_kind(const char *handle, int number);

struct kit {
	const struct kit_kind *kind; /* NULL: kit_begin takes the first */
	const struct tapdisk_type *type;
	struct tapdisk_type *types;
	struct tapdisk_server *server;
	struct vbd *vbd;
	int minor;
	char dir[64];
	char image[96];     /* path */
	char parent[96];    /* path; may exist */
	char params[256];   /* type:name, or a stack */
	char changes[96];   /* path of a file of changed blocks; "": none */
	bool is_file;       /* the name is a file that the kit has made */
	bool keeps_data;    /* what is written is read back */
	bool is_persistent; /* also after a close */
	bool long_run;
	unsigned seed;
	uint64_t sectors;
	uint8_t *model; /* what the disk must hold */
	char why[2048]; /* of a failed item */
};

/* The decimal number in a variable of the environment, or another where there is none. */
unsigned long kit_number(const char *variable, unsigned long otherwise);

/* The driver with that name, out of all there are; free(kit->types) after kit_end. */
void kit_choose(struct kit *kit, const char *handle);

/* A fresh image, server and attached disk.  The kit is left with what kit_end needs. */
void kit_begin(struct kit *kit);
void kit_end(struct kit *kit);

/* The image as it was at the beginning. */
void kit_make_image(struct kit *kit);

struct fake_control *kit_control(struct kit *kit);

/* 0 or -errno, when the operation has ended. */
int kit_open(struct kit *kit, td_flag_t flags);
int kit_open_name(struct kit *kit, const char *params, td_flag_t flags);
int kit_close(struct kit *kit);
int kit_pause(struct kit *kit);
int kit_resume(struct kit *kit);

/* A request on its way; buf is its own, page-aligned. */
struct kit_request {
	struct vbd_request req;
	struct iovec iov;
	uint8_t *buf;
	uint8_t fill; /* each byte of buf, at first */
	bool ended;
	int times;
	int err;
};

struct kit_request *kit_submit(struct kit *kit, int op, uint64_t sector, uint64_t sectors,
			       uint8_t fill);
int kit_wait(struct kit *kit, struct kit_request *request);
void kit_request_free(struct kit_request *request);

/* The same at once, with the model updated by writes that succeed. */
int kit_run(struct kit *kit, int op, uint64_t sector, uint64_t sectors, uint8_t fill);

/* The status of the whole disk into *extents; free(extents->at).  0 or -errno. */
int kit_status(struct kit *kit, struct vbd_extents *extents);

/* Write and read back 8 sectors that lie beyond the model: 0 or -errno. */
int kit_probe_far(struct kit *kit, uint64_t sector);

/* Is the whole disk as the model says?  False sets kit->why. */
bool kit_matches(struct kit *kit);

/* Fail an item: always false. */
bool kit_fail(struct kit *kit, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A number of 0..limit-1. */
uint64_t kit_random(struct kit *kit, uint64_t limit);

int kit_open_fds(void);

struct kit_item {
	const char *name;             /* of driver-api's checklist, and what is looked at */
	bool (*run)(struct kit *kit); /* true: passed; or kit->why says why not */
	bool needs_file;
	bool needs_data;
	bool needs_raw;
};

extern const struct kit_item kit_items[]; /* ended by a NULL name */

#endif
