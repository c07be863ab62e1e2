"""Keeping file systems of images in order: checking, repairing, resizing, trimming, snapshots.

liblinux.commands.fsck, resize, trim, snapshot
_device.py      the device that holds the file system, also as a file for other programs
_checkers.py    the checkers that file systems come with, and what their exit codes mean
_scrub.py       the check that a mounted Btrfs makes of itself
_partitions.py  the table around a partition, changed by sfdisk
_sizes.py       how each file system is made larger or smaller
_resize.py      the three together: image file, partition, file system
_subvolumes.py  subvolumes and snapshots of Btrfs
_ioctl.py       numbers and structures of Linux's ioctls
"""
