/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The load generator's loop: send what may go out, receive what is there, account for it.
 *
 * In the steady state one turn is two system calls, however many requests it moves: replies are
 * waited for in recv itself, and poll is only needed while a send is stuck half-way.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>

#include "common/bytes.h"
#include "common/cleanup.h"
#include "drivers/frontend/nbd-wire.h"

#include "bench/load.h"
#include "bench/nbd-client.h"

#define REPLY_SIZE 16            /* of a simple reply without its data */
#define INPUT_SIZE (256u * 1024) /* one receive: more than a Unix socket holds by default */
#define POLL_PAUSES 4

struct slot {
	uint64_t started_ns;
	uint64_t cookie; /* of the request in flight; 0: free */
	enum load_kind kind;
};

struct load {
	struct load_spec spec;
	int fd;          /* borrowed */
	uint64_t blocks; /* in the export */
	uint64_t random;
	uint64_t next_block;  /* of a sequential load */
	uint64_t cookies;     /* given so far */
	unsigned until_flush; /* requests */
	const struct load_stop *stop;
	struct load_result *result;
	uint64_t issued, finished; /* requests of this run */
	uint64_t now_ns;           /* as of the last receive */

	struct slot *slots; /* depth of them */
	uint16_t *free;     /* indexes of the free ones */
	unsigned free_count;

	/* A batch on its way out: its parts from iov_first on are still to be sent. */
	uint8_t *headers;
	uint8_t *payload; /* block random bytes, the data of every write */
	struct iovec *iov;
	unsigned iov_first, iov_count;

	/* Of the reply that is being received, payload_left bytes of data are still to come. */
	struct slot *answered; /* NULL: between two replies */
	uint64_t payload_left;
	uint8_t *input; /* the start of the next reply, input_used bytes */
	size_t input_used;
};

static inline void
cpu_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#else
	__asm__ volatile("" ::: "memory");
#endif
}

static uint64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* xorshift64*: a draw costs three shifts and a multiplication. */
static uint64_t
draw(struct load *load)
{
	load->random ^= load->random >> 12;
	load->random ^= load->random << 25;
	load->random ^= load->random >> 27;
	return load->random * 0x2545F4914F6CDD1Dull;
}

/* A number below limit, without a division. */
static uint64_t
draw_below(struct load *load, uint64_t limit)
{
	return (uint64_t)(((unsigned __int128)draw(load) * limit) >> 64);
}

static enum load_kind
next_kind(struct load *load)
{
	const struct load_spec *spec = &load->spec;

	if (spec->only_flush)
		return LOAD_FLUSH;
	if (spec->flush_every && load->until_flush-- == 0) {
		load->until_flush = spec->flush_every;
		return LOAD_FLUSH;
	}
	if (spec->read_percent == 100)
		return LOAD_READ;
	if (spec->read_percent == 0)
		return LOAD_WRITE;
	return draw_below(load, 100) < spec->read_percent ? LOAD_READ : LOAD_WRITE;
}

static uint64_t
next_offset(struct load *load)
{
	uint64_t block;

	if (!load->spec.sequential)
		return draw_below(load, load->blocks) * load->spec.block;
	block = load->next_block++;
	if (load->next_block == load->blocks)
		load->next_block = 0;
	return block * load->spec.block;
}

/* Append bytes to the batch; what continues the last part in memory becomes part of it. */
static void
batch_add(struct load *load, uint8_t *data, size_t length)
{
	struct iovec *last = &load->iov[load->iov_count];

	if (load->iov_count && (uint8_t *)last[-1].iov_base + last[-1].iov_len == data) {
		last[-1].iov_len += length;
		return;
	}
	*last = (struct iovec){ data, length };
	load->iov_count++;
}

static void
put_request(struct load *load, uint8_t *header)
{
	static const uint16_t commands[] = {
		[LOAD_READ] = NBD_CMD_READ,
		[LOAD_WRITE] = NBD_CMD_WRITE,
		[LOAD_FLUSH] = NBD_CMD_FLUSH,
	};
	uint16_t index = load->free[--load->free_count];
	struct slot *slot = &load->slots[index];
	bool flush;

	slot->kind = next_kind(load);
	slot->started_ns = load->now_ns;
	slot->cookie = ++load->cookies << 16 | index;
	flush = slot->kind == LOAD_FLUSH;

	put_be32(header, NBD_REQUEST_MAGIC);
	put_be16(header + 4, 0);
	put_be16(header + 6, commands[slot->kind]);
	put_be64(header + 8, slot->cookie);
	put_be64(header + 16, flush ? 0 : next_offset(load));
	put_be32(header + 24, flush ? 0 : load->spec.block);
	batch_add(load, header, NBD_REQUEST_SIZE);
	if (slot->kind == LOAD_WRITE)
		batch_add(load, load->payload, load->spec.block);
	load->issued++;
}

/* A request in every free slot, unless it is time to stop. */
static void
build_batch(struct load *load, uint64_t deadline)
{
	uint64_t limit = load->stop->requests;
	uint8_t *header = load->headers;

	load->iov_first = 0;
	load->iov_count = 0;
	if (deadline && load->now_ns >= deadline)
		return;
	while (load->free_count && (!limit || load->issued < limit)) {
		put_request(load, header);
		header += NBD_REQUEST_SIZE;
	}
}

static bool
sending(const struct load *load)
{
	return load->iov_first < load->iov_count;
}

/* Send as much of the batch as the socket takes at once. */
static int
send_batch(struct load *load)
{
	struct msghdr message = { 0 };
	struct iovec *part;
	ssize_t sent;

	while (sending(load)) {
		message.msg_iov = &load->iov[load->iov_first];
		message.msg_iovlen = load->iov_count - load->iov_first;
		sent = sendmsg(load->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return errno == EAGAIN ? 0 : -errno;
		for (part = message.msg_iov; sent; part++) {
			size_t taken = (size_t)sent < part->iov_len ? (size_t)sent : part->iov_len;

			part->iov_base = (uint8_t *)part->iov_base + taken;
			part->iov_len -= taken;
			sent -= (ssize_t)taken;
			if (!part->iov_len)
				load->iov_first++;
		}
	}
	return 0;
}

/* The request is answered, with all its data: its slot is free again. */
static void
finish(struct load *load, struct slot *slot)
{
	histogram_add(&load->result->latency[slot->kind], load->now_ns - slot->started_ns);
	if (slot->kind != LOAD_FLUSH)
		load->result->bytes += load->spec.block;
	slot->cookie = 0;
	load->free[load->free_count++] = (uint16_t)(slot - load->slots);
	load->finished++;
}

/* The head of a reply: which request it answers, and how much data follow. */
static int
take_reply(struct load *load, const uint8_t *raw, struct reason *why)
{
	static const char *const names[] = {
		[LOAD_READ] = "read",
		[LOAD_WRITE] = "write",
		[LOAD_FLUSH] = "flush",
	};
	uint32_t error = get_be32(raw + 4);
	uint64_t cookie = get_be64(raw + 8);
	unsigned index = cookie & 0xffff;
	struct slot *slot;

	if (get_be32(raw) != NBD_REPLY_MAGIC)
		return reason(why, -EPROTO, "reply: wrong magic 0x%08x", get_be32(raw));
	if (!cookie || index >= load->spec.depth || load->slots[index].cookie != cookie)
		return reason(why, -EPROTO, "reply: to no request of ours");
	slot = &load->slots[index];
	if (error)
		return reason(why, -EREMOTEIO, "reply: the server failed a %s: NBD error %u",
			      names[slot->kind], error);
	load->answered = slot;
	load->payload_left = slot->kind == LOAD_READ ? load->spec.block : 0;
	return 0;
}

/* Account for the whole input buffer, in which the start of an incomplete reply stays. */
static int
parse_input(struct load *load, struct reason *why)
{
	const uint8_t *at = load->input;
	size_t left = load->input_used, skip;
	int err;

	for (;;) {
		skip = left < load->payload_left ? left : (size_t)load->payload_left;
		at += skip;
		left -= skip;
		load->payload_left -= skip;
		if (load->answered && !load->payload_left) {
			finish(load, load->answered);
			load->answered = NULL;
		}
		if (left < REPLY_SIZE)
			break;
		err = take_reply(load, at, why);
		if (err)
			return err;
		at += REPLY_SIZE;
		left -= REPLY_SIZE;
	}
	memmove(load->input, at, left);
	load->input_used = left;
	return 0;
}

static int
failed(int err, const char *what, struct reason *why)
{
	if (err == -EPIPE || err == -ECONNRESET)
		return reason(why, err, "the server closed the connection");
	return reason(why, err, "%s: %s", what, strerror(-err));
}

/* While a send is stuck the server may be waiting for us to read: wait for either. */
static int
wait_both(struct load *load)
{
	struct pollfd pfd = { .fd = load->fd, .events = POLLIN | POLLOUT };
	int ready = poll(&pfd, 1, NBD_CLIENT_TIMEOUT_S * 1000);

	if (ready < 0)
		return errno == EINTR ? 0 : -errno;
	return ready ? 0 : -ETIMEDOUT;
}

/* Let the peer have the socket's locks for a moment between two looks. */
static int
wait_polling(const struct load *load)
{
	unsigned i;

	for (i = 0; i < POLL_PAUSES; i++)
		cpu_pause();
	return now_ns() - load->now_ns < NBD_CLIENT_TIMEOUT_S * 1000000000ull ? 0 : -ETIMEDOUT;
}

static int
receive_replies(struct load *load, struct reason *why)
{
	int err, flags = sending(load) || load->spec.polling ? MSG_DONTWAIT : 0;
	ssize_t got = recv(load->fd, load->input + load->input_used, INPUT_SIZE - load->input_used,
			   flags);

	if (!got)
		return failed(-ECONNRESET, "receive", why);
	if (got > 0) {
		load->input_used += (size_t)got;
		load->now_ns = now_ns();
		return parse_input(load, why);
	}
	if (errno == EINTR)
		return 0;
	if (errno != EAGAIN)
		return failed(-errno, "receive", why);
	err = !flags ? -ETIMEDOUT : sending(load) ? wait_both(load) : wait_polling(load);
	if (err == -ETIMEDOUT)
		return reason(why, err, "no reply for %d s", NBD_CLIENT_TIMEOUT_S);
	return err;
}

int
load_run(struct load *load, const struct load_stop *stop, struct load_result *result,
	 struct reason *why)
{
	uint64_t start = now_ns(), deadline = stop->ns ? start + stop->ns : 0;
	int err;

	memset(result, 0, sizeof(*result));
	load->result = result;
	load->stop = stop;
	load->issued = 0;
	load->finished = 0;
	load->now_ns = start;
	for (;;) {
		if (!sending(load)) {
			build_batch(load, deadline);
			if (load->finished == load->issued)
				break;
		}
		err = send_batch(load);
		if (err)
			return failed(err, "send", why);
		err = receive_replies(load, why);
		if (err)
			return err;
	}
	result->elapsed_ns = load->now_ns - start;
	return 0;
}

static int
check_spec(uint64_t size, const struct load_spec *spec, struct reason *why)
{
	if (!spec->block || spec->block > LOAD_BLOCK_MAX)
		return reason(why, -EINVAL, "block size: 1 to %u bytes", LOAD_BLOCK_MAX);
	if (!spec->depth || spec->depth > LOAD_DEPTH_MAX)
		return reason(why, -EINVAL, "depth: 1 to %d", LOAD_DEPTH_MAX);
	if (spec->read_percent > 100)
		return reason(why, -EINVAL, "reads: 0 to 100 percent");
	if (size < spec->block)
		return reason(why, -ENOSPC, "the export is smaller than one block");
	return 0;
}

int
load_new(int fd, uint64_t size, const struct load_spec *spec, struct load **out, struct reason *why)
{
	struct load *load;
	unsigned i;
	int err = check_spec(size, spec, why);

	if (err)
		return err;
	load = calloc(1, sizeof(*load));
	if (!load)
		return reason(why, -ENOMEM, "out of memory");
	load->spec = *spec;
	load->fd = fd;
	load->blocks = size / spec->block;
	load->random = spec->seed ? spec->seed : 1; /* 0 is the one state it cannot leave */
	load->until_flush = spec->flush_every;
	load->slots = calloc(spec->depth, sizeof(*load->slots));
	load->free = calloc(spec->depth, sizeof(*load->free));
	load->headers = calloc(spec->depth, NBD_REQUEST_SIZE);
	load->iov = calloc(2 * (size_t)spec->depth, sizeof(*load->iov));
	load->payload = malloc(spec->block);
	load->input = malloc(INPUT_SIZE);
	if (!load->slots || !load->free || !load->headers || !load->iov || !load->payload ||
	    !load->input) {
		load_free(load);
		return reason(why, -ENOMEM, "out of memory");
	}
	for (i = 0; i < spec->depth; i++)
		load->free[load->free_count++] = (uint16_t)i;
	for (i = 0; i < spec->block; i++)
		load->payload[i] = (uint8_t)(draw(load) >> 56);
	*out = load;
	return 0;
}

void
load_free(struct load *load)
{
	if (!load)
		return;
	free(load->slots);
	free(load->free);
	free(load->headers);
	free(load->iov);
	free(load->payload);
	free(load->input);
	free(load);
}
