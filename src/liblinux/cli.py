"""The command ``liblinux``: a thin group that loads each command when it is used.

A command is added by one line in :data:`COMMANDS`; its module is imported only
when it is called or its help is asked for, so that starting stays quick.
"""

from __future__ import annotations

import importlib
import os
import signal
from collections.abc import Sequence
from typing import IO, Any, NoReturn

import click

from liblinux._errors import LiblinuxError

__all__ = ["COMMANDS", "EXIT_INTERRUPTED", "describe", "main"]

# Name of the command: its one-line help, and where it is.
COMMANDS: dict[str, tuple[str, str]] = {
    "build": ("Build a Linux kernel as a shared library.", "liblinux.builder.cli:build_command"),
    "cat": ("Print files of an image.", "liblinux.commands.cat:cat_command"),
    "crashtest": (
        "Let the power fail while a program writes, and check what is left.",
        "liblinux.crash.cli:crashtest_command",
    ),
    "completion": ("Print a script that completes this command in a shell.", "liblinux.cli:completion_command"),
    "packetdrill": (
        "Run packetdrill scripts against a kernel, on virtual time.",
        "liblinux.packetdrill._command:packetdrill_command",
    ),
    "cp": ("Copy files into images, out of them, and between them.", "liblinux.commands.cp:cp_command"),
    "diff": ("Show what two images or trees differ in.", "liblinux.commands.diff:diff_command"),
    "explore": ("Run a test under many seeds and faults, until it fails.", "liblinux.commands.explore:explore_command"),
    "extract": ("Extract an image that need not be trusted.", "liblinux.commands.extract:extract_command"),
    "cpio": ("Write a tree of an image as a cpio archive.", "liblinux.commands.cpio:cpio_command"),
    "uncpio": ("Unpack a cpio archive into an image.", "liblinux.commands.uncpio:uncpio_command"),
    "mkimage": ("Make a disk image of a directory or an archive.", "liblinux.commands.mkimage:mkimage_command"),
    "tar": ("Write a tree of an image as a tar archive.", "liblinux.commands.tar:tar_command"),
    "untar": ("Unpack a tar archive into an image.", "liblinux.commands.untar:untar_command"),
    "info": ("Say what an image is, and what is on it.", "liblinux.commands.info:info_command"),
    "imagefuzz": ("Damage an image in many ways and mount it.", "liblinux.imagefuzz._command:imagefuzz_command"),
    "mount": ("Mount an image on a directory of the host, through FUSE.", "liblinux.commands.mount:mount_command"),
    "umount": ("Unmount what `mount` has mounted.", "liblinux.commands.mount:umount_command"),
    "du": ("Sum up the room that trees of an image take.", "liblinux.commands.du:du_command"),
    "find": ("Find files of an image by names and metadata.", "liblinux.commands.find:find_command"),
    "fsck": ("Check or repair a file system of an image.", "liblinux.commands.fsck:fsck_command"),
    "hexdump": ("Show bytes of a file, or where in the image they lie.", "liblinux.commands.hexdump:hexdump_command"),
    "ls": ("List directories of an image.", "liblinux.commands.ls:ls_command"),
    "report": ("Make a report of a packet capture, for a browser.", "liblinux.commands.report:report_command"),
    "resize": ("Make a file system of an image larger or smaller.", "liblinux.commands.resize:resize_command"),
    "snapshot": ("Snapshots and subvolumes of Btrfs.", "liblinux.commands.snapshot:snapshot_command"),
    "trim": ("Give room that a file system does not use back.", "liblinux.commands.trim:trim_command"),
    "shell": ("Run commands in an image, from a terminal or a script.", "liblinux.commands.shell:shell_command"),
    "simulate": ("Run network experiments that are files.", "liblinux.commands.simulate:simulate_command"),
    "stat": ("Show all metadata of files of an image.", "liblinux.commands.stat:stat_command"),
    "tree": ("Draw a tree of an image.", "liblinux.commands.tree:tree_command"),
    "chmod": ("Change modes of files of an image.", "liblinux.commands.chmod:chmod_command"),
    "chown": ("Change owners of files of an image.", "liblinux.commands.chown:chown_command"),
    "edit": ("Edit a file of an image.", "liblinux.commands.edit:edit_command"),
    "ln": ("Make a link in an image.", "liblinux.commands.ln:ln_command"),
    "mkdir": ("Make directories in an image.", "liblinux.commands.mkdir:mkdir_command"),
    "mv": ("Rename and move inside of an image.", "liblinux.commands.mv:mv_command"),
    "rm": ("Remove files and trees of an image.", "liblinux.commands.rm:rm_command"),
    "touch": ("Set times of files of an image.", "liblinux.commands.touch:touch_command"),
}

# As shells have it: 128 and the signal.
EXIT_INTERRUPTED = 128 + signal.SIGINT
_TERMINATED = 128 + signal.SIGTERM
_FAILED = 1


class _Failure(click.ClickException):
    """An operation that failed: one line, and exit code 1."""

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"liblinux: {self.message}", file=file, err=file is None)


class _LazyGroup(click.Group):
    def main(self, *args: Any, **options: Any) -> NoReturn:
        """Run a command and end, as click does; Ctrl-C ends it with what shells have for it, whenever it comes."""
        options["standalone_mode"] = False
        try:
            status = super().main(*args, **options)
        except click.ClickException as error:
            error.show()
            raise SystemExit(error.exit_code) from None
        except (click.Abort, KeyboardInterrupt) as end:
            if isinstance(end, click.Abort) and isinstance(end.__context__, EOFError):
                click.echo("Aborted!", err=True)  # Ctrl-D, where an answer was wanted
                raise SystemExit(_FAILED) from None
            click.echo("liblinux: interrupted", err=True)
            raise SystemExit(EXIT_INTERRUPTED) from None
        raise SystemExit(status)

    def invoke(self, context: click.Context) -> None:
        try:
            super().invoke(context)
        except (OSError, LiblinuxError) as error:
            if isinstance(error, BrokenPipeError) and not error.filename:
                raise  # whoever reads our output has had enough: click knows what to do
            raise _Failure(describe(error)) from error

    def list_commands(self, context: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[name][1].partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        # Not click's own: it would import every command for one line of help.
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][0]) for name in self.list_commands(context)])


def describe(error: OSError | LiblinuxError) -> str:
    """What a user is told of an error: what it is about first, as programs of Unix do."""
    if not isinstance(error, OSError) or isinstance(error, LiblinuxError) or error.filename is None:
        text = str(error)
    else:
        names = [_printable(name) for name in (error.filename, error.filename2) if name is not None]
        text = f"{' -> '.join(names)}: {error.strerror}"
    # Labels and names of volumes are in messages as well.
    text = "\n".join(_printable(line) for line in text.split("\n"))
    # What a container or a server had to say; the kernel knows only that it is an I/O error.
    return f"{text}\n  because of {describe(error.__cause__)}" if isinstance(error.__cause__, OSError) else text


def _printable(name: str | bytes) -> str:
    """A name in a message: one of an image could else write to the terminal whatever it likes."""
    text = os.fsdecode(name)
    return text if text.isprintable() else text.encode("unicode_escape").decode()


def _version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        # Late: it is slow, and only this option needs it.
        from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415

        try:
            number = version("liblinux")
        except PackageNotFoundError:
            number = "(not installed)"
        click.echo(f"liblinux {number}")
        context.exit()


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version.")
def cli() -> None:
    """The Linux kernel as a library in this process.

    \b
    Examples:
      liblinux build                   build Linux 6.12, all file systems and protocols
      liblinux build --kernel 6.1      the same port, an older kernel
      liblinux cat disk.img:/etc/fstab a file of an image
      liblinux cp -r disk.img:/etc .   a tree of an image, with all that belongs to it
      liblinux diff old.img new.img    content and all that belongs to it
      liblinux extract firmware.img d  an image that need not be trusted, to a new directory
      liblinux tar disk.img:/ > r.tar  a tree of an image as an archive; untar unpacks one
      liblinux mkimage root/ disk.img  an image of a directory or an archive
      liblinux mount disk.img mnt      an image as a directory; umount ends it
      liblinux shell disk.img          commands inside of an image
      liblinux crashtest WORKLOAD.py   is what was fsynced there after any crash?
      eval "$(liblinux completion)"    completion in this bash
      liblinux imagefuzz disk.img      damage an image 1,000 times, see what the kernel does
      liblinux packetdrill FILE.pkt    network tests on virtual time
      liblinux report run.pcapng       what is in a capture, as a page for a browser
      liblinux COMMAND --help          more about one command
    """


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]), default="bash")
def completion_command(shell: str) -> None:
    """Print a script that completes commands and options of liblinux in SHELL.

    \b
    Examples:
      eval "$(liblinux completion bash)"                   in ~/.bashrc
      eval "$(liblinux completion zsh)"                    in ~/.zshrc
      liblinux completion fish | source                    in ~/.config/fish/config.fish
    """
    from liblinux._shells import completion_script  # noqa: PLC0415 - only completion needs it

    click.echo(completion_script(cli, shell))


def _terminate(*_: object) -> NoReturn:
    raise SystemExit(_TERMINATED)


def main(arguments: Sequence[str] | None = None) -> None:
    """The entry point of the installed command."""
    # An image that is written to must be unmounted, and what is half done taken away.
    signal.signal(signal.SIGTERM, _terminate)
    if "_LIBLINUX_COMPLETE" in os.environ:  # a shell asks: click looks for these classes then
        import liblinux._shells  # noqa: F401, PLC0415
    cli(args=arguments, prog_name="liblinux")


if __name__ == "__main__":
    main()
