"""Write the table of commands in docs/COMMANDS.md from the commands themselves.

.venv/bin/python dev/commands.py            rewrites the table
.venv/bin/python dev/commands.py --check    ends with 1 when it is not current
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from liblinux.cli import COMMANDS, cli

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "COMMANDS.md"
BEGIN, END = "<!-- written by dev/commands.py: begin -->\n", "<!-- written by dev/commands.py: end -->\n"

# Options that say how the image is opened; a line above the table explains them for all commands.
_OF_CAT = cli.get_command(click.Context(cli), "cat").params
IMAGE_OPTIONS = {option.name: max(option.opts, key=len) for option in _OF_CAT if isinstance(option, click.Option)}
# Those that mean something else than the table at the head of the document says.
EXIT_CODES = {
    "shell": "that of the last command; 127 no such command",
    "diff": "0 the same, 1 different, 2 not known",
    "crashtest": "0 nothing was lost, 1 something was, 2 it could not be tested",
}


def table() -> str:
    """The rows, one for each command."""
    context = click.Context(cli)
    options = ", ".join(f"`{option}`" for option in IMAGE_OPTIONS.values())
    rows = [f'"+ image" are the options of all commands on images: {options}.', ""]
    rows += ["| command | what it does | options of its own | exit codes |", "|---|---|---|---|"]
    for name in sorted(COMMANDS):
        command = cli.get_command(context, name)
        assert command is not None
        arguments = " ".join(_shape(parameter) for parameter in command.params if isinstance(parameter, click.Argument))
        codes = EXIT_CODES.get(name, "as above")
        cells = (f"`{name} {arguments}`".replace(" `", "`"), COMMANDS[name][0], _options(command), codes)
        rows.append("| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |")
    return "\n".join(rows) + "\n"


def _options(command: click.Command) -> str:
    """Its options, without those of all commands on images."""
    has_image = {parameter.name for parameter in command.params} >= IMAGE_OPTIONS.keys()
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    own = [option for option in options if not (has_image and option.name in IMAGE_OPTIONS)]
    texts = [f"`{' '.join((min(option.opts, key=_dashes), *_value(option)))}`" for option in own if not option.hidden]
    return (", ".join(texts) or "none") + (" + image" if has_image else "")


def _dashes(spelling: str) -> tuple[bool, int]:
    """The short form first: one dash and one letter."""
    return len(spelling) != 2, -len(spelling)


def _value(option: click.Option) -> tuple[str, ...]:
    return () if option.is_flag else (_shape(option),)


def _shape(parameter: click.Parameter) -> str:
    """What is written for it. Not click's own word, which changes with its versions."""
    if parameter.metavar is not None:
        return parameter.metavar
    if isinstance(parameter.type, click.Choice):
        return "|".join(map(str, parameter.type.choices))
    if isinstance(parameter.type, click.Path | click.File):
        return "PATH"
    return "N" if isinstance(parameter.type, type(click.INT) | type(click.FLOAT)) else "TEXT"


def written(text: str) -> str:
    """The document with its table made anew."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{table()}{END}{after}"


def main() -> None:
    """Write it, or with --check only compare."""
    text = DOCUMENT.read_text()
    if sys.argv[1:] == ["--check"]:
        sys.exit(0 if text == written(text) else f"{DOCUMENT} is not current: run .venv/bin/python dev/commands.py")
    DOCUMENT.write_text(written(text))


if __name__ == "__main__":
    main()
