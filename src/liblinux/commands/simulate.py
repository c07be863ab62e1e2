"""`liblinux simulate`: experiments that are files."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from liblinux._errors import LiblinuxError
from liblinux.commands._output import print_json, print_line

if TYPE_CHECKING:
    from liblinux.experiments import Loaded, Outcome

__all__ = ["simulate_command"]

_WRONG = 2  # the exit code of a file that cannot be run
_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command("simulate")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=False)
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="Another value: link.NAME.queue=10.")
@click.option("--repetitions", type=click.IntRange(min=1), metavar="N", help="So many seeds, instead of the file's.")
@click.option("--seed", type=int, help="The first seed, instead of the file's.")
@click.option("--duration", metavar="TIME", help="Virtual time, instead of the file's: 10s.")
@click.option("-j", "--jobs", type=click.IntRange(min=1), metavar="N", help="Processes; default: one per processor.")
@click.option("-o", "--output", type=_FILE, help="Results, a row for each flow of each run: .csv or .parquet.")
@click.option("--samples", type=_FILE, help="All samples over virtual time: .csv or .parquet.")
@click.option("--plot", type=_FILE, help="The picture: .svg, .png or .pdf.")
@click.option("--check", is_flag=True, help="Only say what is wrong with the file.")
@click.option("--schema", is_flag=True, help="Print the JSON schema of such files, and do nothing else.")
@click.option("--json", "as_json", is_flag=True, help="The results as a list of objects.")
@click.option("--quiet", is_flag=True, help="No progress.")
def simulate_command(
    file: Path | None, changes: tuple[str, ...], check: bool, schema: bool, as_json: bool, **options: Any
) -> None:
    """Run a network experiment that is described in a TOML or YAML file.

    Hosts, links, flows, events, sweeps and plots are in the file: see docs/guides/experiments.md. All runs are done on
    virtual time, each combination of swept values with each seed, on all processors.

    \b
    Examples:
      liblinux simulate examples/experiments/bufferbloat.toml --plot bufferbloat.svg
      liblinux simulate cubic-bbr.toml --repetitions 10 --output results.csv
      liblinux simulate --set link.bottleneck.queue=50 --duration 10s cubic-bbr.toml
    """
    try:
        from liblinux import experiments  # noqa: PLC0415 - slow, and an extra
    except ImportError as error:
        raise LiblinuxError(f"`simulate` needs {error.name}: pip install 'liblinux[experiments]'") from error
    if schema:
        print_json(experiments.schema())
        return
    if file is None:
        raise click.UsageError("Missing argument 'FILE'.")
    try:
        loaded = experiments.load(file, _changes(changes, options))
    except experiments.ExperimentError as error:
        click.echo(error, err=True)
        raise SystemExit(_WRONG) from None
    if check:
        print_line(f"{file}: {len(loaded.jobs)} runs, {len(loaded.variants)} variants: nothing is wrong")
        return
    if options["plot"] and not loaded.experiment.plot:
        raise LiblinuxError(f"{file} says nothing about plots; add a [[plot]] with show = 'throughput'")
    outcomes = _run(loaded, options)
    if options["output"]:
        experiments.write_results(options["output"], outcomes)
    if options["samples"]:
        experiments.write_samples(options["samples"], outcomes)
    if options["plot"]:
        experiments.draw(loaded, outcomes, options["plot"])
    if as_json:
        print_json(experiments.rows(outcomes))
    else:
        _print_table(loaded, outcomes)


def _changes(given: tuple[str, ...], options: dict[str, Any]) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not equals:
            raise click.BadParameter(f"{text!r} is not KEY=VALUE", param_hint="--set")
        changes[key] = _value(value)
    for name in ("repetitions", "seed", "duration"):
        if options[name] is not None:
            changes[name] = options[name]
    return changes


def _value(text: str) -> Any:
    """As in the file; what is no value there is a string without its quotes."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _run(loaded: Loaded, options: dict[str, Any]) -> list[Outcome]:
    from liblinux import experiments  # noqa: PLC0415 - as above
    from liblinux.commands._simulating import Display  # noqa: PLC0415 - rich is slow

    samples = bool(options["samples"] or options["plot"])
    if options["quiet"]:
        return experiments.run(loaded, workers=options["jobs"], samples=samples)
    with Display(loaded) as display:
        return experiments.run(loaded, workers=options["jobs"], samples=samples, progress=display.show)


def _print_table(loaded: Loaded, outcomes: list[Outcome]) -> None:
    from liblinux.commands._simulating import print_results  # noqa: PLC0415 - rich is slow

    print_results(loaded, outcomes)
