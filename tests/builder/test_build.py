"""What decides whether a finished library is reused, and where it is installed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from liblinux._errors import BuildError
from liblinux.builder import BuildOptions, _build, _link
from liblinux.builder._make import error_lines
from liblinux.builder.cache import Cache
from liblinux.builder.kconfig import Fragment, parse_fragment


@pytest.fixture
def port(tmp_path: Path) -> Path:
    port = tmp_path / "port"
    port.mkdir()
    (port / "Kconfig").write_text("config A\n")
    (port / "head.c").write_text("int head;\n")
    return port


def digest(port: Path, *, identity: str = "6.12.1", text: str = "CONFIG_X=y", compiler: str = "gcc 12") -> str:
    return _build.input_digest(identity, port, [Fragment("f", parse_fragment(text))], compiler)


def test_the_digest_is_repeatable_and_ignores_comments(port: Path) -> None:
    assert digest(port) == digest(port)
    assert digest(port) == digest(port, text="# a comment\n\nCONFIG_X=y")


def test_the_digest_changes_with_every_input(port: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digests = [
        digest(port),
        digest(port, identity="6.12.2"),
        digest(port, compiler="gcc 13"),
        digest(port, text="CONFIG_Y=y"),
        digest(port, text="CONFIG_X=m"),
        digest(port, text="CONFIG_X=y  # >=6.6"),
        digest(port, text="# CONFIG_X is not set"),
    ]
    (port / "head.c").write_text("int tail;\n")
    digests.append(digest(port))
    (port / "head.c").rename(port / "tail.c")
    digests.append(digest(port))
    (port / "new.c").touch()
    digests.append(digest(port))
    monkeypatch.setattr(_link, "LINK_OPTIONS", (*_link.LINK_OPTIONS, "-z", "now"))
    digests.append(digest(port))
    assert len(set(digests)) == len(digests)


def test_unknown_configurations_and_fragments_are_named(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="no configuration 'huge'; choose one of full, minimal"):
        _build.load_fragments(BuildOptions(config="huge"))
    with pytest.raises(BuildError, match=r"'nothing' is neither a fragment .*debug"):
        _build.load_fragments(BuildOptions(fragments=["nothing"]))
    mine = tmp_path / "mine.config"
    mine.write_text("CONFIG_X=y\n")
    loaded = _build.load_fragments(BuildOptions(config="minimal", fragments=["debug", str(mine)]))
    assert [fragment.name for fragment in loaded] == ["base", "minimal", "debug", "mine"]


def finished(directory: Path, release: str, content: str) -> Path:
    directory.mkdir(exist_ok=True)
    for suffix in ("", ".debug"):
        (directory / f"liblinux-{release}.so{suffix}").write_text(content + suffix)
    return directory


def test_installing_replaces_and_leaves_nothing_else(tmp_path: Path) -> None:
    output = _build._output_directory(tmp_path / "lib")
    for content in ("one", "two"):
        library = _build._install(finished(tmp_path / "done", "6.12.7", content), "6.12.7", output, only=False)
        assert library.read_text() == content
    assert sorted(path.name for path in output.iterdir()) == ["liblinux-6.12.7.so", "liblinux-6.12.7.so.debug"]


def test_an_equal_library_is_not_touched(tmp_path: Path) -> None:
    done = finished(tmp_path / "done", "6.12.7", "same")
    (tmp_path / "lib").mkdir()
    before = _build._install(done, "6.12.7", tmp_path / "lib", only=True).stat()
    after = _build._install(done, "6.12.7", tmp_path / "lib", only=True).stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


@pytest.mark.parametrize("output", ["file", "file/below"])
def test_an_output_that_cannot_be_written_is_said_before_anything_is_built(output: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BuildError, match=r"cannot be installed into .*--output"):
        _build.build(BuildOptions(output=tmp_path / output), cache=Cache(tmp_path / "cache"))
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("series", ["", "banana", "6", "6.12.117", "6.12; ls"])
def test_a_series_that_is_none(series: str, tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"no series of kernels; give one as 6\.12"):
        _build.build(BuildOptions(series), cache=Cache(tmp_path / "cache"))


@pytest.mark.parametrize("lost", ["liblinux-6.12.7.so", "liblinux-6.12.7.so.debug", "build.json"])
def test_what_is_not_whole_in_the_cache_is_not_reused(lost: str, tmp_path: Path) -> None:
    done = finished(tmp_path, "6.12.7", "")
    (done / "build.json").write_text('{"release": "6.12.7"}')
    assert _build._is_whole(done)
    (done / lost).unlink()
    assert not _build._is_whole(done)


def test_one_library_of_a_series_stays(tmp_path: Path) -> None:
    for release in ("6.1.190", "6.12.116", "6.12.117"):
        finished(tmp_path, release, "")
    _build._remove_same_series(tmp_path, "6.12.117")
    assert {path.name.removesuffix(".debug") for path in tmp_path.iterdir()} == {
        "liblinux-6.1.190.so",
        "liblinux-6.12.117.so",
    }


def test_only_the_newest_libraries_are_kept(tmp_path: Path) -> None:
    for age in range(20):
        (tmp_path / str(age)).mkdir()
        os.utime(tmp_path / str(age), (age, age))
    _build._forget_old(tmp_path)
    assert sorted(int(path.name) for path in tmp_path.iterdir()) == list(range(8, 20))


def test_the_lines_that_say_what_failed(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("  CC      a.o\nb.c:1:2: error: no such thing\n  CC      c.o\nmake[2]: *** [b.o] Error 1\n")
    assert error_lines(log) == "  b.c:1:2: error: no such thing"
    log.write_text("one\ntwo\nmake: *** [two] Error 1\n")
    assert "two" in error_lines(log)
