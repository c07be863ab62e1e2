"""Run the kernel's network selftests on the library, and keep what came of them in docs/NET-SELFTESTS.md.

    python tests/selftests/net_run.py [--kernel 6.1] [--timeout 300] [NAME ...]

Without names all that net.toml lists. Results are kept in results.json beside it; --show prints what a test says.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import net_programs as programs

RESULTS = Path(__file__).with_name("results.json")
DOCUMENT = Path(__file__).resolve().parents[2] / "docs/NET-SELFTESTS.md"
_VERSIONS = ("6.12", "6.1")
_IN_A_ROW = 5
_HEAD = """\
# The kernel's network selftests

`tools/testing/selftests/net` of Linux, run **unmodified** on the library: the scripts by bash, with the machine's own
`ip`, `tc`, `ping`, `nft` and the others, the C programs as they are compiled from the kernel's source. Their sockets,
network namespaces and what they see below /proc/sys, /proc/net, /sys/class/net and /run/netns are those of a kernel
of the library (`tests/selftests/unmodified`, by seccomp's user notification); processes, pipes and ordinary files
are the machine's. No root is needed, and nothing of the machine's network is seen or touched.

    .venv/bin/python tests/selftests/net_run.py [--kernel 6.1] [NAME ...]      writes this page

In brackets: checks that a test itself reports; "left out" are checks that it skips, for want of a newer `ip` mostly.
"Too slow" is a test that had not ended after the time that it was given, 300 seconds mostly: what had passed and failed
until then is told. What is quick is in the test suite (`tests/selftests/test_net_selftests.py`).

Those of forwarding/ have the configuration that is shipped with them as a sample. When they say `sh` they are given
bash, which they mean. A frame that mausezahn sends is two system calls, each of which passes through another process:
a quarter of a millisecond of processor time, so that streams of hundreds of megabits in a second are out of reach.

"""


def document(results: dict[str, dict[str, str]]) -> str:
    """The page: what ran, and why it did not pass; then what does not run, with its reason."""
    run = [str(name) for name in programs.listed()["run"]]
    quick, explained = programs.listed()["quick"], programs.listed()["explained"]
    lines = [_HEAD + "| test | in the suite | " + " | ".join(_VERSIONS) + " | why |", "|---|---|---|---|---|"]
    every = {version: set(programs.all_tests(version)) for version in _VERSIONS}
    for name in sorted(run):
        cells = [
            results.get(name, {}).get(version, "not run yet") if name in every[version] else "is not in it"
            for version in _VERSIONS
        ]
        in_suite, why = "yes" if name in quick else "", explained.get(name, "")
        lines.append(f"| {name} | {in_suite} | {' | '.join(cells)} | {why} |")
    lines += ["", "## Those that do not run", ""]
    left: dict[str, list[str]] = {}
    for name in sorted(set().union(*every.values()) - set(run)):
        left.setdefault(programs.reason(name) or "no reason is given in net.toml", []).append(name)
    for why, names in sorted(left.items()):
        lines += [f"### {len(names)}: {why}", "", "| directory | tests |", "|---|---|", *_rows(names), ""]
    return "\n".join(lines)


def _rows(names: list[str]) -> Iterator[str]:
    """Rows of a few names each, those of a directory together."""
    for directory, group in itertools.groupby(names, lambda name: str(Path(name).parent)):
        for some in _few(list(group)):
            yield f"| {'' if directory == '.' else directory} | {', '.join(Path(name).name for name in some)} |"


def _few(names: list[str]) -> list[list[str]]:
    return [names[at : at + _IN_A_ROW] for at in range(0, len(names), _IN_A_ROW)]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--kernel", default="6.12")
    parser.add_argument("--timeout", type=float, default=300)
    parser.add_argument("--show", action="store_true")
    parser.add_argument("--directory", type=Path, help="where programs are compiled, and found the next time")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        net = programs.prepare(options.kernel, options.directory or Path(temporary))
        for name in options.names or programs.listed()["run"]:
            if name not in programs.all_tests(options.kernel):
                continue
            try:
                outcome = programs.run(options.kernel, net, name, timeout=options.timeout)
            except subprocess.CalledProcessError as error:
                sys.stdout.write(f"{name} cannot be compiled: {error.stderr.decode()[:500]}\n")
                continue
            sys.stdout.write(f"{name} on {options.kernel}: {outcome.verdict}, {outcome.seconds:.1f} s\n")
            sys.stdout.write(outcome.output if options.show else "")
            sys.stdout.flush()
            results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
            results.setdefault(name, {})[options.kernel] = outcome.verdict
            RESULTS.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n", encoding="utf-8")
            DOCUMENT.write_text(document(results), encoding="utf-8")


if __name__ == "__main__":
    main()
