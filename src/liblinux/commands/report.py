"""`liblinux report`: what a packet capture shows of TCP, as one page for a browser."""

from __future__ import annotations

import os

import click

__all__ = ["report_command"]


@click.command("report")
@click.argument("capture", type=click.Path(dir_okay=False), metavar="CAPTURE")
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False), metavar="FILE", help="Of the page; CAPTURE.html if not given."
)
@click.option("--title", metavar="TEXT", help="At the head of the page; the name of the file if not given.")
def report_command(capture: str, output: str | None, title: str | None) -> None:
    """Make a report of CAPTURE, a pcap or pcapng file: one HTML file, which needs nothing else.

    Throughput and packets of each interface, and of the largest TCP connections
    sequence numbers, windows, what was sent again, and how long
    acknowledgements took.

    \b
    Examples:
      liblinux report run.pcapng
      liblinux report dump.pcap -o report.html --title "the slow download"
    """
    from liblinux.observing import write_report  # noqa: PLC0415 - slow

    output = output or f"{os.path.splitext(capture)[0]}.html"
    if os.path.exists(output) and os.path.exists(capture) and os.path.samefile(output, capture):
        raise click.UsageError(f"the report would be written over the capture {capture}; name another file with -o")
    try:
        write_report(output, capture=capture, title=title)
    except (ImportError, ValueError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(output)
