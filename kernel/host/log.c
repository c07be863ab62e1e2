// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's log on its way to the embedding program: a bounded ring of
 * text. The kernel adds, whoever wants takes. When it is full the oldest whole
 * lines make room; nothing is ever refused and nobody waits for a reader.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/mman.h>
#include "internal.h"

int host_log_init(struct host_log *log)
{
	log->text = mmap(NULL, LOG_BYTES, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (log->text == MAP_FAILED) {
		log->text = NULL;
		return -errno;
	}
	log->head = log->tail = 0;
	pthread_mutex_init(&log->lock, NULL);
	return 0;
}

void host_log_exit(struct host_log *log)
{
	if (log->text)
		munmap(log->text, LOG_BYTES);
	log->text = NULL;
}

static char *host_log_at(struct host_log *log, u64 position)
{
	return log->text + position % LOG_BYTES;
}

static void host_log_make_room(struct host_log *log, u64 bytes)
{
	if (log->head - log->tail + bytes <= LOG_BYTES)
		return;
	log->tail = log->head + bytes - LOG_BYTES;
	while (log->tail < log->head &&
	       *host_log_at(log, log->tail - 1) != '\n')
		log->tail++;
}

/* ops->console */
void host_log_add(void *host, const char *text, u64 bytes)
{
	struct host_log *log = &((struct host_kernel *)host)->log;
	u64 part;

	if (bytes > LOG_BYTES) {
		text += bytes - LOG_BYTES;
		bytes = LOG_BYTES;
	}
	pthread_mutex_lock(&log->lock);
	host_log_make_room(log, bytes);
	part = LOG_BYTES - log->head % LOG_BYTES;
	if (part > bytes)
		part = bytes;
	memcpy(host_log_at(log, log->head), text, part);
	memcpy(log->text, text + part, bytes - part);
	__atomic_store_n(&log->head, log->head + bytes, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&log->lock);
}

/* The last of what was ever added; returns how many bytes. */
size_t host_log_end(struct host_log *log, char *buffer, size_t bytes)
{
	u64 start, part;

	pthread_mutex_lock(&log->lock);
	if (bytes > log->head)
		bytes = log->head;
	start = log->head - bytes;
	part = LOG_BYTES - start % LOG_BYTES;
	if (part > bytes)
		part = bytes;
	memcpy(buffer, host_log_at(log, start), part);
	memcpy(buffer + part, log->text, bytes - part);
	pthread_mutex_unlock(&log->lock);
	return bytes;
}

size_t host_kernel_log(struct host_kernel *kernel, char *buffer, size_t bytes)
{
	struct host_log *log = &kernel->log;
	u64 part;

	pthread_mutex_lock(&log->lock);
	if (bytes > log->head - log->tail)
		bytes = log->head - log->tail;
	part = LOG_BYTES - log->tail % LOG_BYTES;
	if (part > bytes)
		part = bytes;
	memcpy(buffer, host_log_at(log, log->tail), part);
	memcpy(buffer + part, log->text, bytes - part);
	__atomic_store_n(&log->tail, log->tail + bytes, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&log->lock);
	return bytes;
}

bool host_kernel_log_pending(struct host_kernel *kernel)
{
	struct host_log *log = &kernel->log;

	return __atomic_load_n(&log->head, __ATOMIC_ACQUIRE) !=
	       __atomic_load_n(&log->tail, __ATOMIC_ACQUIRE);
}
