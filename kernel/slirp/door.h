/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The door in front of libslirp: what a router would drop anyway is dropped
 * here, because libslirp, which believes much, dies of some of it.
 *
 * A frame that comes through is ARP, IPv4 or IPv6, and as long as its headers say:
 * no shorter and, having been trimmed, no longer. Its source may send, its
 * destination may be sent to. It is a whole datagram of TCP, UDP or ICMP, with the
 * header of that complete; fragments of IPv4 are put together here (fragments.c),
 * those of IPv6 libslirp does not know. Checksums are left to libslirp, which
 * looks at all of them.
 *
 * Urgent data of TCP become ordinary data, as RFC 6093 (3.4) says that routers do:
 * libslirp counts its buffers wrong when the urgent pointer points beyond them.
 */
#ifndef LIBLINUX_SLIRP_DOOR_H
#define LIBLINUX_SLIRP_DOOR_H

#include <stdbool.h>
#include <stdint.h>
#include "library.h"

#define DOOR_ETHERNET_BYTES 14
#define DOOR_IP4_BYTES 20
#define DOOR_IP6_BYTES 40

struct door_frame {
	unsigned char *data;
	int bytes;
};

/*
 * What libslirp may have of a frame, which is changed in place or replaced by a
 * datagram of which it was the last fragment. `now` is in milliseconds. False:
 * nothing, or not yet.
 */
bool door_pass(const struct slirp_config *config, struct door_frame *frame,
	       int64_t now);

/*
 * A fragment of IPv4 with a good header of `header` bytes. True when its datagram
 * is whole; the frame is that then, until the next call.
 */
bool door_fragment(struct door_frame *frame, int header, int64_t now);

static inline uint16_t door_u16(const unsigned char *at)
{
	return at[0] << 8 | at[1];
}

static inline uint32_t door_u32(const unsigned char *at)
{
	return (uint32_t)door_u16(at) << 16 | door_u16(at + 2);
}

static inline void door_put16(unsigned char *at, uint16_t value)
{
	at[0] = value >> 8;
	at[1] = value;
}

#endif /* LIBLINUX_SLIRP_DOOR_H */
