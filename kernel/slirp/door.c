// SPDX-License-Identifier: GPL-2.0-only
/*
 * What may go to libslirp, see door.h. Nothing is remembered here but fragments,
 * and nothing of a frame is read that lies beyond its headers.
 *
 * Sources: RFC 1812 (5.2.2, 5.3.7), RFC 6890 (addresses that are never on a wire),
 * RFC 9293 (3.1), RFC 6093, RFC 1624 (checksums), RFC 4861 (6.1, 7.1).
 */
#include <string.h>
#include "door.h"

enum {
	DOOR_ICMP = 1,
	DOOR_TCP = 6,
	DOOR_UDP = 17,
	DOOR_ICMP6 = 58,
};

enum {
	DOOR_FIN = 1,
	DOOR_SYN = 2,
	DOOR_RST = 4,
	DOOR_ACK = 16,
	DOOR_URG = 32,
};

#define DOOR_TFTP_PORT 69
#define DOOR_DHCP_PORT 67
#define DOOR_DHCP6_PORT 547

/* ---- what is above IP ---------------------------------------------------- */

/* RFC 1624: the checksum of a packet one of whose words has changed. */
static uint16_t door_recount(uint16_t checksum, uint16_t before, uint16_t after)
{
	uint32_t sum = (uint16_t)~checksum + (uint16_t)~before + after;

	sum = (sum & 0xffff) + (sum >> 16);
	return ~((sum & 0xffff) + (sum >> 16));
}

static void door_not_urgent(unsigned char *tcp)
{
	uint16_t checksum = door_u16(tcp + 16), flags = door_u16(tcp + 12);
	uint16_t calm = flags & ~DOOR_URG;

	checksum = door_recount(checksum, flags, calm);
	checksum = door_recount(checksum, door_u16(tcp + 18), 0);
	door_put16(tcp + 12, calm);
	door_put16(tcp + 16, checksum);
	door_put16(tcp + 18, 0);
}

static bool door_tcp(unsigned char *tcp, int bytes)
{
	int header = bytes < 20 ? 0 : tcp[12] >> 4 << 2;
	int flags;

	if (header < 20 || header > bytes || !door_u16(tcp) ||
	    !door_u16(tcp + 2))
		return false;
	flags = tcp[13] & (DOOR_FIN | DOOR_SYN | DOOR_RST | DOOR_ACK);
	/* Nothing begins and ends at once; all but SYN and RST have ACK. */
	if ((flags & DOOR_SYN && flags & (DOOR_FIN | DOOR_RST)) ||
	    !(flags & (DOOR_SYN | DOOR_RST | DOOR_ACK)))
		return false;
	if (tcp[13] & DOOR_URG)
		door_not_urgent(tcp);
	return true;
}

/* There is no TFTP here. */
static bool door_udp(const unsigned char *udp, int bytes)
{
	int length = bytes < 8 ? 0 : door_u16(udp + 4);
	int port = bytes < 8 ? 0 : door_u16(udp + 2);

	return length >= 8 && length <= bytes && port && port != DOOR_TFTP_PORT;
}

/* ---- IPv4 ------------------------------------------------------------------ */

/* Networks 0 and 127, and from 224 on; and those that are here. */
static bool door_source4(const struct slirp_config *config, uint32_t address)
{
	uint32_t network = address >> 24;

	return network && network != 127 && network < 224 &&
	       address != ntohl(config->vhost.s_addr) &&
	       address != ntohl(config->vnameserver.s_addr);
}

static bool door_destination4(uint32_t address)
{
	uint32_t network = address >> 24;

	return network && network != 127 && network < 224;
}

/* From nobody to everybody: who asks for an address. */
static bool door_asks4(const unsigned char *ip, const unsigned char *udp)
{
	return ip[9] == DOOR_UDP && door_u32(ip + 16) == 0xffffffff &&
	       door_u16(udp + 2) == DOOR_DHCP_PORT;
}

static bool door_above4(const struct slirp_config *config, unsigned char *ip,
			int header, int bytes)
{
	unsigned char *data = ip + header;

	bytes -= header;
	switch (ip[9]) {
	case DOOR_TCP:
		if (!door_tcp(data, bytes))
			return false;
		break;
	case DOOR_UDP:
		if (!door_udp(data, bytes))
			return false;
		if (door_asks4(ip, data))
			return true;
		break;
	case DOOR_ICMP:
		/* It answers echo requests, and nothing else. */
		if (bytes < 8 || data[0] != 8 || data[1])
			return false;
		break;
	default:
		return false;
	}
	return door_source4(config, door_u32(ip + 12)) &&
	       door_destination4(door_u32(ip + 16));
}

static bool door_ip4(const struct slirp_config *config,
		     struct door_frame *frame, int64_t now)
{
	unsigned char *ip = frame->data + DOOR_ETHERNET_BYTES;
	int bytes = frame->bytes - DOOR_ETHERNET_BYTES, header, length;

	if (!config->in_enabled || bytes < DOOR_IP4_BYTES || ip[0] >> 4 != 4)
		return false;
	header = (ip[0] & 15) << 2;
	length = door_u16(ip + 2);
	/* The reserved bit would be a fragment to libslirp. */
	if (header < DOOR_IP4_BYTES || length < header || length > bytes ||
	    ip[6] & 0x80)
		return false;
	frame->bytes = DOOR_ETHERNET_BYTES + length;
	if (door_u16(ip + 6) & 0x3fff) {
		if (!door_fragment(frame, header, now))
			return false;
		ip = frame->data + DOOR_ETHERNET_BYTES;
		header = (ip[0] & 15) << 2;
		length = frame->bytes - DOOR_ETHERNET_BYTES;
	}
	return door_above4(config, ip, header, length);
}

/* ---- IPv6 ------------------------------------------------------------------- */

/* ::ffff:0:0/96, by which a socket of IPv6 reaches IPv4. */
static bool door_mapped(const unsigned char *address)
{
	static const unsigned char prefix[12] = { [10] = 0xff, [11] = 0xff };

	return !memcmp(address, prefix, sizeof(prefix));
}

static bool door_is(const unsigned char *address, const struct in6_addr *other)
{
	return !memcmp(address, other, sizeof(*other));
}

static bool door_source6(const struct slirp_config *config,
			 const unsigned char *address)
{
	return address[0] != 0xff && !door_mapped(address) &&
	       !door_is(address, &in6addr_any) &&
	       !door_is(address, &in6addr_loopback) &&
	       !door_is(address, &config->vhost6) &&
	       !door_is(address, &config->vnameserver6);
}

static bool door_destination6(const unsigned char *address)
{
	return address[0] != 0xff && !door_mapped(address) &&
	       !door_is(address, &in6addr_any) &&
	       !door_is(address, &in6addr_loopback);
}

/* The options of neighbour discovery have lengths, in units of eight bytes. */
static bool door_options(const unsigned char *data, int bytes)
{
	int length;

	for (; bytes > 0; data += length, bytes -= length) {
		length = bytes < 2 ? 0 : data[1] << 3;
		if (!length || length > bytes)
			return false;
	}
	return true;
}

/* Echo requests for itself are what it answers, and what neighbours ask. */
static bool door_icmp6(const struct slirp_config *config,
		       const unsigned char *ip, int bytes)
{
	const unsigned char *data = ip + DOOR_IP6_BYTES;
	bool near = ip[7] == 255 && bytes >= 8 && !data[1] &&
		    ip[8] != 0xff && !door_mapped(ip + 8);

	switch (bytes < 8 ? 0 : data[0]) {
	case 128:
		return door_source6(config, ip + 8) &&
		       (door_is(ip + 24, &config->vhost6) ||
			door_is(ip + 24, &config->vnameserver6));
	case 133:
		return near && door_options(data + 8, bytes - 8);
	case 135:
		return near && bytes >= 24 &&
		       door_options(data + 24, bytes - 24);
	case 136:
		return near && bytes >= 24 && door_source6(config, ip + 8) &&
		       door_options(data + 24, bytes - 24);
	default:
		return false;
	}
}

static bool door_ip6(const struct slirp_config *config,
		     struct door_frame *frame)
{
	unsigned char *ip = frame->data + DOOR_ETHERNET_BYTES;
	int bytes = frame->bytes - DOOR_ETHERNET_BYTES, length;

	if (!config->in6_enabled || bytes < DOOR_IP6_BYTES || ip[0] >> 4 != 6)
		return false;
	length = door_u16(ip + 4);
	bytes -= DOOR_IP6_BYTES;
	if (length > bytes)
		return false;
	frame->bytes = DOOR_ETHERNET_BYTES + DOOR_IP6_BYTES + length;
	if (ip[6] == DOOR_ICMP6)
		return door_icmp6(config, ip, length);
	ip += DOOR_IP6_BYTES;
	if (ip[6 - DOOR_IP6_BYTES] == DOOR_UDP && door_udp(ip, length) &&
	    door_u16(ip + 2) == DOOR_DHCP6_PORT)
		return door_source6(config, ip + 8 - DOOR_IP6_BYTES);
	if (!door_source6(config, ip + 8 - DOOR_IP6_BYTES) ||
	    !door_destination6(ip + 24 - DOOR_IP6_BYTES))
		return false;
	if (ip[6 - DOOR_IP6_BYTES] == DOOR_TCP)
		return door_tcp(ip, length);
	return ip[6 - DOOR_IP6_BYTES] == DOOR_UDP && door_udp(ip, length);
}

/* ---- Ethernet ------------------------------------------------------------------ */

/* Who speaks of an address of IPv4 speaks of his own, and of one that may be. */
static bool door_arp(const struct slirp_config *config,
		     const unsigned char *frame, int bytes)
{
	static const unsigned char kind[6] = { 0, 1, 8, 0, 6, 4 };
	const unsigned char *arp = frame + DOOR_ETHERNET_BYTES;
	uint32_t sender;
	int operation;

	if (bytes < DOOR_ETHERNET_BYTES + 28 || memcmp(arp, kind, sizeof(kind)))
		return false;
	operation = door_u16(arp + 6);
	sender = door_u32(arp + 14);
	return (operation == 1 || operation == 2) &&
	       !memcmp(arp + 8, frame + 6, 6) &&
	       (door_source4(config, sender) || (operation == 1 && !sender));
}

bool door_pass(const struct slirp_config *config, struct door_frame *frame,
	       int64_t now)
{
	/* Nobody is a group. */
	if (frame->bytes < DOOR_ETHERNET_BYTES || frame->data[6] & 1)
		return false;
	switch (door_u16(frame->data + 12)) {
	case 0x0800:
		return door_ip4(config, frame, now);
	case 0x86dd:
		return door_ip6(config, frame);
	case 0x0806:
		return door_arp(config, frame->data, frame->bytes);
	default:
		return false;
	}
}
