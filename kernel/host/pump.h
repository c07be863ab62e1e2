/* SPDX-License-Identifier: GPL-2.0-only */
/* Between pump.c and pumped.c. */
#ifndef LIBLINUX_PUMP_H
#define LIBLINUX_PUMP_H

#include "internal.h"

/* The longest frame of a TAP device, with its headers; and the length in front. */
#define PUMP_FRAME_BYTES (128 * KIB)
#define PUMP_ROOM_BYTES (2 * PUMP_FRAME_BYTES)
#define PUMP_LENGTH_BYTES 4
/* How many are carried after the order to stop, at most: the queue of a TAP device holds 500. */
#define PUMP_LAST_FRAMES 1000

struct host_pump {
	struct host_pump_end from, to;
	struct host_pump_last last;
	struct host_task *task_from, *task_to; /* of the pump's thread */
	pthread_t thread;
	int stop_fd; /* of the host: readable when it shall stop */
	bool stopping;
	int error; /* why it ended */
	u64 frames, bytes, dropped;
	char *frame; /* what is carried, behind PUMP_LENGTH_BYTES */
	/* Of a stream: what was read and is not carried yet. */
	u32 start, end;
};

/* On the pump's thread: its tasks in the kernels. 0 or -errno. */
int host_pump_prepare(struct host_pump *pump);
/* Bytes of the frame, which is in pump->frame; -EAGAIN: none; or -errno. */
int host_pump_read(struct host_pump *pump);
/* Wait until there may be one, or pump->stopping. */
int host_pump_wait(struct host_pump *pump);
/* 0, -errno, or -ESHUTDOWN when it was told to stop. */
int host_pump_write(struct host_pump *pump, u32 bytes);
/* Is that the end, and not of one frame only? */
bool host_pump_is_over(int error);
/* On its thread, which has ended by itself. */
void host_pump_say_last(struct host_pump *pump);
/* From another thread: end a wait inside of a kernel. */
void host_pump_rouse(struct host_pump *pump);

#endif /* LIBLINUX_PUMP_H */
