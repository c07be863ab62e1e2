"""Volumes: LVM, LUKS and md, through the kernel's own device mapper and md."""

from __future__ import annotations

from liblinux.volumes._storage import Passphrase, Storage

__all__ = ["Passphrase", "Storage"]
