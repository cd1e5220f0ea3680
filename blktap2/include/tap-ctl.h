/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libblktapctl: start, list and steer the tapdisks of this host.
 *
 * Functions return 0 or a negative errno unless they say otherwise; what they hand out is untouched
 * on failure, and strings are malloc'd.  They are safe to call from several threads, never print
 * (but for traces, see tap_ctl_debug), never exit, and leave signals alone.  A virtual disk is
 * named by the pid of its tapdisk ("id") and its minor.
 */
#ifndef TAP_CTL_H
#define TAP_CTL_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct tapdisk_message; /* tapdisk-message.h, for those who send messages of their own */

/* Not 0: trace messages on stderr.  Set it before the first call. */
extern int tap_ctl_debug;

/* One tapdisk, disk, or minor; what is absent is -1 or NULL. */
typedef struct tap_list {
	int id;
	pid_t pid;
	int minor;
	int state;
	char *type;
	char *path;
} tap_list_t;

/* ---- environment ------------------------------------------------------------------------------
 */

/* Can disks be kernel block devices of the blktap2 driver?  *message is static text, "ok" if so. */
int tap_ctl_check(const char **message);
int tap_ctl_check_blktap(const char **message);

/* The block major of that driver, or -ENODEV. */
int tap_ctl_blk_major(void);
void tap_ctl_version(int *major, int *minor);

/* Where the sockets are.  Static for the life of the process; NULL when it cannot be told. */
const char *tap_ctl_control_dir(void);

/* ---- transport: legacy messages; timeouts in seconds, 0 for none --------------------------------
 */

char *tap_ctl_socket_name(int id); /* owned by the caller, or NULL */
int tap_ctl_connect(const char *path, int *sfd);
int tap_ctl_connect_id(int id, int *sfd);
int tap_ctl_read_message(int fd, struct tapdisk_message *message, int timeout_s);
int tap_ctl_write_message(int fd, struct tapdisk_message *message, int timeout_s);
int tap_ctl_send_and_receive(int fd, struct tapdisk_message *message, int timeout_s);
int tap_ctl_connect_send_and_receive(int id, struct tapdisk_message *message, int timeout_s);

/* ---- enumeration ------------------------------------------------------------------------------
 */

/* A NULL-terminated array of all rows; tap_ctl_free_list frees it. */
int tap_ctl_list(tap_list_t ***list);
int tap_ctl_list_pid(pid_t pid, tap_list_t ***list);
void tap_ctl_free_list(tap_list_t **list);

/* The disk that serves type:path (NULL: any).  type and path of *tap are NULL.  -ENOENT. */
int tap_ctl_find(const char *type, const char *path, tap_list_t *tap);
int tap_ctl_find_minor(const char *type, const char *path); /* minor or -ENOENT */

/* ---- operations -------------------------------------------------------------------------------
 */

/* *devname is the path of the marker, or of the device in kernel mode; owned by the caller. */
int tap_ctl_allocate(int *minor, char **devname);
int tap_ctl_free(const int minor);
int tap_ctl_spawn(void); /* pid or -errno */
pid_t tap_ctl_get_pid(const int id);
int tap_ctl_attach(const int id, const int minor);
int tap_ctl_detach(const int id, const int minor);
int tap_ctl_open(const int id, const int minor, const char *params);
int tap_ctl_close(const int id, const int minor, const int force);
int tap_ctl_pause(const int id, const int minor);
int tap_ctl_unpause(const int id, const int minor, const char *params); /* NULL: the same image */

/* All of allocate, spawn, attach and open, or nothing; and back. */
int tap_ctl_create(const char *params, char **devname);
int tap_ctl_destroy(const int id, const int minor);

/* ---- information ------------------------------------------------------------------------------
 */

/* The statistics as JSON, like snprintf: returns the length needed.  minor -1: of all disks. */
ssize_t tap_ctl_stats(pid_t pid, int minor, char *buf, size_t size);
int tap_ctl_stats_fwrite(pid_t pid, int minor, FILE *out);
int tap_ctl_info(pid_t pid, int minor, unsigned long long *sectors, unsigned int *sector_size,
		 unsigned int *info);

/* ---- extended forms ---------------------------------------------------------------------------
 */

/* size = sizeof(struct); members that the caller's struct does not have yet count as zero. */
struct tap_ctl_opts {
	size_t size;
	uint32_t flags; /* TAPDISK_MESSAGE_FLAG_* */
	int prt_minor;
	const char *secondary;
	int req_timeout_s;
	const char *logpath;
	const uint8_t *key;
	size_t key_size;
	int timeout_ms;  /* of the call; 0: the default of the operation */
	int device_mode; /* 1: kernel */
};

int tap_ctl_open_ex(int id, int minor, const char *params, const struct tap_ctl_opts *opts);
int tap_ctl_unpause_ex(int id, int minor, const char *params, const struct tap_ctl_opts *opts);
int tap_ctl_close_ex(int id, int minor, int force, int timeout_ms);
int tap_ctl_pause_ex(int id, int minor, int timeout_ms);
/*
 * *devname NULL: becomes the path of the marker or device, owned by the caller.  With device_mode
 * it may name the device instead: a symbolic link of that name is there until the minor is free.
 */
int tap_ctl_create_ex(const char *params, const struct tap_ctl_opts *opts, pid_t *pid, int *minor,
		      char **devname);
int tap_ctl_destroy_ex(int id, int minor, int force, int timeout_ms);
int tap_ctl_allocate_ex(int want_minor, int device_mode, int *minor, char **devname);

/* ---- guest rings ------------------------------------------------------------------------------
 */

struct tap_ctl_ring {
	size_t size;
	uint32_t domid, devid, nr_queues, order, proto;
	const uint32_t *gref;
	const uint32_t *port;
	uint32_t poll_duration_us, poll_idle_threshold;
	uint32_t features, ring_flags;
	int timeout_ms;
};

int tap_ctl_connect_xenblkif(pid_t pid, int minor, const struct tap_ctl_ring *ring);
int tap_ctl_disconnect_xenblkif(pid_t pid, int minor, uint32_t domid, uint32_t devid,
				int timeout_ms);

/* ---- jobs -------------------------------------------------------------------------------------
 */

struct tap_ctl_job {
	size_t size;
	uint64_t current, total;
	char status[256];
};

int tap_ctl_commit(int id, int minor, const char *path);
int tap_ctl_query_commit(int id, int minor, struct tap_ctl_job *job);
int tap_ctl_cancel_commit(int id, int minor, int wait);

#ifdef __cplusplus
}
#endif

#endif
