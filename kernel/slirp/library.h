/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is used of libslirp (BSD licence): user-mode networking, as of QEMU. It is
 * looked for when it is first wanted, so that nobody else needs it; the layouts
 * are those of version 1 of its configuration, which it keeps (version 4.1 or
 * later, Debian's libslirp0).
 *
 * Source: libslirp.h of libslirp 4.7.0.
 */
#ifndef LIBLINUX_SLIRP_LIBRARY_H
#define LIBLINUX_SLIRP_LIBRARY_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define SLIRP_LIBRARY "libslirp.so.0"
#define SLIRP_CONFIG_VERSION 1

enum {
	SLIRP_POLL_IN = 1,
	SLIRP_POLL_OUT = 2,
	SLIRP_POLL_PRI = 4,
	SLIRP_POLL_ERR = 8,
	SLIRP_POLL_HUP = 16,
};

struct slirp_config {
	uint32_t version;
	int restricted;
	bool in_enabled;
	struct in_addr vnetwork, vnetmask, vhost;
	bool in6_enabled;
	struct in6_addr vprefix_addr6;
	uint8_t vprefix_len;
	struct in6_addr vhost6;
	const char *vhostname, *tftp_server_name, *tftp_path, *bootfile;
	struct in_addr vdhcp_start, vnameserver;
	struct in6_addr vnameserver6;
	const char **vdnssearch;
	const char *vdomainname;
	size_t if_mtu, if_mru;
	bool disable_host_loopback;
	bool enable_emu;
};

struct slirp_callbacks {
	ssize_t (*send_packet)(const void *frame, size_t bytes, void *opaque);
	void (*guest_error)(const char *text, void *opaque);
	int64_t (*clock_get_ns)(void *opaque);
	void *(*timer_new)(void (*function)(void *), void *argument,
			   void *opaque);
	void (*timer_free)(void *timer, void *opaque);
	void (*timer_mod)(void *timer, int64_t milliseconds, void *opaque);
	void (*register_poll_fd)(int fd, void *opaque);
	void (*unregister_poll_fd)(int fd, void *opaque);
	void (*notify)(void *opaque);
};

/* The functions of the library, and the library. */
struct slirp_library {
	void *handle;
	void *(*create)(const struct slirp_config *config,
			const struct slirp_callbacks *callbacks, void *opaque);
	void (*fill)(void *slirp, uint32_t *timeout,
		     int (*add)(int fd, int events, void *opaque),
		     void *opaque);
	void (*poll)(void *slirp, int failed,
		     int (*look)(int index, void *opaque), void *opaque);
	void (*input)(void *slirp, const uint8_t *frame, int bytes);
	int (*forward)(void *slirp, int udp, struct in_addr host_address,
		       int host_port, struct in_addr guest_address,
		       int guest_port);
};

#endif /* LIBLINUX_SLIRP_LIBRARY_H */
