"""What is there of a test that failed: its seed, the kernel's log, what crossed the network."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

FAILING = """
    import liblinux, pytest

    def net(network):
        network.link(network.host("a"), network.host("b"), delay="10ms", jitter="2ms", loss=0.3)
        return network.ping("a", "b", count=20)

    @pytest.mark.liblinux_seeds(3)
    def test_seeds(network, liblinux_seed):
        lost = net(network).loss
        network.link("a", network.host("later"))
        network.ping("a", "later")
        assert liblinux_seed != 6

    def test_log(kernel):
        with pytest.raises(liblinux.MountError):
            kernel.mount(kernel.attach(bytearray(1 << 20)), "/mnt", type="ext4")
        kernel.abort()
        kernel.os.getpid()

    @pytest.mark.parametrize("name", ["a/b", "a b", "x" * 300])
    def test_names_of_directories(kernel, name):
        assert not name

    @pytest.fixture
    def broken(network):
        net(network)
        yield
        raise RuntimeError("in the teardown")

    def test_teardown(broken):
        pass

    @pytest.mark.xfail
    def test_expected(kernel):
        assert not kernel

    def test_passes(network):
        net(network)

    def test_no_fixture():
        assert False
"""
COUNTS = {"passed": 4, "failed": 6, "errors": 1, "xfailed": 1}


def run(sessions: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """The same in a session of its own."""
    sessions.makepyfile(test_it=FAILING)
    return sessions.runpytest_subprocess("--liblinux-seed=5", "-p", "no:cacheprovider", *arguments)


def kept(sessions: pytest.Pytester, directory: str = "liblinux-failures") -> dict[str, Path]:
    """The directories of tests, by the start of their names."""
    return {path.name: path for path in (sessions.path / directory).iterdir()}


@pytest.fixture
def failed(sessions: pytest.Pytester) -> pytest.RunResult:
    return run(sessions)


def test_a_section_and_files(sessions: pytest.Pytester, failed: pytest.RunResult) -> None:
    failed.assert_outcomes(**COUNTS)
    failed.stdout.fnmatch_lines(
        [
            "liblinux: --liblinux-seed 5",
            "*RuntimeError: in the teardown*",
            "seed: 5",
            "seed: 6",
            "again: pytest 'test_it.py::test_seeds?seed6?' --liblinux-seed=5",
            "network.pcapng: ?* packets",
            "kernel, dead: *",
            "kernel: * 1 of them since boot",
            "  *] EXT4-fs (lda): VFS: Can't find ext4 filesystem",
            "liblinux: captures and kernel logs of failed tests are in *liblinux-failures",
        ]
    )
    directories = kept(sessions)
    assert len(directories) == 6, "of those that failed and had a fixture"
    (seeds,) = [path for name, path in directories.items() if name.startswith("test_it.py-test_seeds-seed6")]
    assert {path.name for path in seeds.iterdir()} == {"network.pcapng", "dmesg.txt", "repeat.txt"}
    assert "Linux version 6." in (seeds / "dmesg.txt").read_text()
    assert b"a:eth0" in (seeds / "network.pcapng").read_bytes()
    assert b"later:eth0" in (seeds / "network.pcapng").read_bytes(), "a link that was added later"
    (teardown,) = [path for name, path in directories.items() if "test_teardown" in name]
    assert (teardown / "network.pcapng").stat().st_size > 1000
    program, *arguments = shlex.split((seeds / "repeat.txt").read_text())
    assert program == "pytest"
    again = sessions.runpytest_subprocess(*arguments)
    again.assert_outcomes(failed=1)


def test_two_runs_give_the_same_bytes(sessions: pytest.Pytester) -> None:
    """Beside other tests or alone, in this process or in a worker of xdist, with another hash seed."""
    seen = []
    for number, arguments in enumerate((["-n2"], ["-k", "test_seeds"], ["--liblinux-pcap=always"])):
        run(sessions, f"--liblinux-output=out{number}", *arguments)
        directories = kept(sessions, f"out{number}")
        (seeds,) = [path for name, path in directories.items() if name.startswith("test_it.py-test_seeds-seed6")]
        seen.append([(seeds / name).read_bytes() for name in ("network.pcapng", "dmesg.txt")])
    assert seen[0] == seen[1] == seen[2]


def test_xdist(sessions: pytest.Pytester) -> None:
    done = run(sessions, "-n2")
    done.assert_outcomes(**COUNTS)
    done.stdout.fnmatch_lines(["seed: 6", "liblinux: captures and kernel logs of failed tests are in *"])
    assert len(kept(sessions)) == 6


def test_always_and_never(sessions: pytest.Pytester) -> None:
    sessions.makepyfile("""
        def test_passes(network):
            network.link(network.host("a"), network.host("b"))
            network.ping("a", "b")

        def test_fails(network):
            network.link(network.host("a"), network.host("b"))
            network.ping("a", "b")
            assert 0
    """)
    sessions.runpytest("--liblinux-pcap=always")
    assert [sorted(path.name for path in each.iterdir()) for _, each in sorted(kept(sessions).items())] == [
        ["dmesg.txt", "network.pcapng", "repeat.txt"]
    ] * 2
    done = sessions.runpytest("--liblinux-pcap=never", "--liblinux-output=elsewhere")
    done.stdout.fnmatch_lines(["again: pytest test_always_and_never.py::test_fails --liblinux-seed=1 *=never"])
    (directory,) = kept(sessions, "elsewhere").values()
    assert sorted(path.name for path in directory.iterdir()) == ["dmesg.txt", "repeat.txt"]


@pytest.mark.parametrize(
    ("marker", "says"),
    [
        ("liblinux_seeds()", "takes one argument"),
        ("liblinux_seeds(0)", "no test at all"),
        ("liblinux_seeds([])", "no test at all"),
        ("liblinux_seeds('abc')", "neither a number of seeds nor a list"),
        ("liblinux_seeds([1, 'x'])", "'x' is no seed"),
        ("liblinux_seeds(True)", "neither a number"),
        ("liblinux_seeds(n=3)", "takes one argument"),
    ],
)
def test_markers_that_make_no_sense(sessions: pytest.Pytester, marker: str, says: str) -> None:
    sessions.makepyfile(f"import pytest\n@pytest.mark.{marker}\ndef test_it(liblinux_seed): pass")
    done = sessions.runpytest()
    done.assert_outcomes(errors=1)
    done.stdout.fnmatch_lines([f"*test_it: *{says}*"])


def test_seeds(sessions: pytest.Pytester) -> None:
    sessions.makepyfile("""
        import pytest

        SEEN = []

        @pytest.mark.liblinux_seeds([5, 900])
        def test_listed(liblinux_seed):
            SEEN.append(liblinux_seed)

        @pytest.mark.liblinux_seeds(3)
        class TestCounted:
            def test_it(self, liblinux_seed):
                SEEN.append(liblinux_seed)

        def test_one(liblinux_seed):
            assert [*SEEN, liblinux_seed] == [5, 900, 41, 42, 43, 41]
    """)
    sessions.runpytest("--liblinux-seed=41").assert_outcomes(passed=6)
    sessions.makepyfile(test_none="import pytest\n@pytest.mark.liblinux_seeds(3)\ndef test_it(tmp_path): pass")
    sessions.runpytest("test_none.py").stdout.fnmatch_lines(["*it would be the same test each time; take one of*"])


def test_options_that_make_no_sense(sessions: pytest.Pytester) -> None:
    sessions.runpytest("--liblinux-seed=abc").stderr.fnmatch_lines(["*a seed is a number or 'random', not 'abc'"])
    done = sessions.runpytest("--liblinux-kernel=5.4")
    done.stderr.fnmatch_lines(["*--liblinux-kernel 5.4: no kernel image of version 5.4*liblinux build --kernel 5.4"])


def test_a_seed_is_drawn_and_told(sessions: pytest.Pytester) -> None:
    """And all workers draw the same."""
    sessions.makepyfile("""
        import pytest

        @pytest.mark.liblinux_seeds(4)
        def test_it(liblinux_seed, record_property, request):
            assert dict(request.node.user_properties)["liblinux_seed"] == liblinux_seed > 100
    """)
    done = sessions.runpytest("--liblinux-seed=random", "-n2")
    done.assert_outcomes(passed=4)
    done.stdout.fnmatch_lines(["liblinux: --liblinux-seed ?*"])


def test_the_kernel_is_chosen(sessions: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    import liblinux

    monkeypatch.delenv("LIBLINUX_KERNEL", raising=False)
    path = next(iter(liblinux.images().values()))
    sessions.makepyfile(f"""
        import liblinux, os

        def test_it(kernel, network):
            assert os.environ["LIBLINUX_KERNEL"] == {str(path)!r}
            assert {path.name!r} == f"liblinux-{{kernel.release.split('-')[0]}}.so" or kernel.release
            network.host("a")
            assert network.kernel.release == kernel.release
    """)
    sessions.runpytest(f"--liblinux-kernel={path}").assert_outcomes(passed=1)
    assert "LIBLINUX_KERNEL" not in os.environ
