"""The extension module by itself: every promise of `_native.pyi`, on a booted kernel."""
