"""The command ``liblinux build``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from liblinux._errors import BuildError
from liblinux.builder._build import CONFIGURATIONS, BuildOptions, build
from liblinux.builder._terminal import progress_for

__all__ = ["build_command"]


@click.command("build")
@click.option("--kernel", default="6.12", show_default=True, metavar="X.Y", help="Kernel series to build.")
@click.option(
    "--source",
    type=click.Path(path_type=Path),
    help="Kernel tree, tarball or linux-source .deb to build instead; overrules --kernel.",
)
@click.option(
    "--config", type=click.Choice(list(CONFIGURATIONS)), default="full", show_default=True, help="What is built in."
)
@click.option(
    "--with",
    "fragments",
    multiple=True,
    metavar="FRAGMENT",
    help="Add a configuration fragment: a name (such as debug) or a path. Can be repeated.",
)
@click.option("--jobs", "-j", type=click.IntRange(min=1), help="Compilers at once. [default: one per processor]")
@click.option("--force", is_flag=True, help="Build from nothing, even if the result is in the cache.")
@click.option("--update", is_flag=True, help="Look for a newer source package than the cache has.")
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="Directory for the library. [default: the package]",
)
def build_command(
    kernel: str,
    source: Path | None,
    config: str,
    fragments: tuple[str, ...],
    jobs: int | None,
    force: bool,
    update: bool,
    output: Path | None,
) -> None:
    """Build a Linux kernel as a shared library.

    The source is not edited; sources, objects and results are kept in
    $XDG_CACHE_HOME/liblinux (or ~/.cache/liblinux).

    \b
    Examples:
      liblinux build
      liblinux build --kernel 6.1
      liblinux build --config minimal --with debug --output build
      liblinux build --source linux-source-6.12_6.12.117-1_all.deb
    """
    options = BuildOptions(kernel, source, config, fragments, jobs, force, output, update)
    try:
        with progress_for(sys.stderr) as progress:
            result = build(options, progress)
    except BuildError as error:
        raise click.ClickException(str(error)) from error
    how = "from the cache" if result.reused else "built"
    click.echo(f"{result.library} ({how} in {result.seconds:.1f} s)")
