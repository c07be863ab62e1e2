"""What the plugin of pytest is made of (`liblinux.pytest_plugin` is what pytest sees).

_pool       kernels and networks that are booted once and put back for each test
_evidence   what is kept of a test that failed
_images     images of file systems, made once for each content
_seeds      what a marker says
"""

from __future__ import annotations

from liblinux._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from liblinux.testing._images import ImageFactory as ImageFactory

__all__ = ["ImageFactory"]


def __getattr__(name: str) -> object:
    if name != "ImageFactory":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from liblinux.testing import _images  # noqa: PLC0415 - with all that makes images

    return _images.ImageFactory
