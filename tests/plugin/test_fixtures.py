"""The fixtures of the plugin of pytest, in sessions of their own."""

from __future__ import annotations

import subprocess
import sys

import pytest

from test_readme import EXAMPLES

KERNELS = """
    import liblinux, pytest

    SEEN = []

    @pytest.mark.parametrize("round", range(4))
    def test_each_finds_a_fresh_one(kernel, round):
        assert kernel.clock == "virtual"
        assert kernel.os.listdir("/tmp") == []
        assert kernel.disks == ()
        before = len(kernel.dmesg())
        with kernel.socket.create_server(("127.0.0.1", 80)):
            kernel.socket.create_connection(("127.0.0.1", 80)).close()
        with pytest.raises(liblinux.MountError):
            kernel.mount(kernel.attach(bytearray(1 << 20)), "/mnt", type="ext4")
        assert len(kernel.dmesg()) == before + 1
        kernel.process(uid=1000)
        SEEN.append((kernel.now(), kernel.os.getrandom(8), kernel.seed, len(kernel.dmesg())))

    def test_all_were_the_same():
        assert len(set(SEEN)) == 1

    def test_one_that_was_closed(kernel):
        kernel.close()

    def test_one_that_died(kernel):
        kernel.abort()

    def test_another_one(kernel):
        assert kernel.os.getpid() == 1

    class TestOptions:
        @pytest.fixture
        def kernel_options(self):
            return {"memory": "96M", "clock": "real", "background": True}

        @pytest.mark.parametrize("round", range(3))
        def test_they_are_those_of_kernel(self, kernel, round):
            assert (kernel.memory, kernel.clock) == (96 << 20, "real")
            assert kernel.os.listdir("/tmp") == []
            kernel.os.mkdir("/tmp/x")
"""


def test_kernel_fixtures(sessions: pytest.Pytester) -> None:
    sessions.makepyfile(KERNELS)
    sessions.runpytest().assert_outcomes(passed=11)


def test_what_is_written_to_an_image_is_in_it(sessions: pytest.Pytester) -> None:
    sessions.makepyfile("""
        import liblinux, pytest

        @pytest.fixture
        def image(image_factory):
            path = image_factory({"a": "b"})
            yield path
            with liblinux.open_image(path) as found:
                assert found.cat("/written") == b"by a test" * 1000

        @pytest.mark.parametrize("round", range(3))
        def test_write(image, kernel, round):
            kernel.mount(kernel.attach(image), "/mnt")
            kernel.open("/mnt/written", "wb").write(b"by a test" * 1000)  # and nobody closes it
    """)
    sessions.runpytest().assert_outcomes(passed=3)


NETWORKS = """
    import asyncio, hashlib, pytest

    SEEN = []

    def prepare(net):
        SEEN.append("prepared")
        net.link(net.host("a"), net.host("b"), delay="10ms")

    @pytest.fixture(scope="module")
    def network_setup():
        return prepare

    @pytest.mark.parametrize("round", range(5))
    def test_each_finds_it_as_it_was(network, round, tmp_path):
        a, b = network.hosts.values()
        assert network.ping(a, b).average < 0.1
        assert a.os.listdir("/tmp") == []
        (link,) = network.links
        link.set(delay="1s")
        a.os.mkdir("/tmp/x")
        b.socket.create_server(("", 80))
        a.socket.hosts["elsewhere"] = "192.0.2.1"
        a.thread(lambda: b.socket.socket())
        network.capture(tmp_path / "mine.pcapng")
        with network.capture(tmp_path / "other.pcapng"):
            network.run(asyncio.sleep(10))
            network.ping(a, b, timeout=5)
        SEEN.append((hashlib.sha256((tmp_path / "other.pcapng").read_bytes()).hexdigest(), network.kernel.now()))

    def test_all_were_the_same():
        assert SEEN[0] == SEEN[2] == "prepared" and SEEN.count("prepared") == 2
        assert SEEN.count(SEEN[1]) == 5

    @pytest.mark.parametrize("round", range(2))
    def test_hosts_can_be_added(network, round):
        network.link(network.host("c"), "a")
        assert network.ping("c", "b").received == 0 and network.ping("c", "a").received == 1

    @pytest.mark.parametrize("round", range(2))
    def test_it_can_be_closed(network, round):
        network.close()

    class TestEmpty:
        @pytest.fixture(scope="session")
        def network_setup(self):
            return None

        @pytest.fixture
        def network_options(self):
            return {"strict": True, "ipv6": None}

        seen = []

        @pytest.mark.parametrize("round", range(5))
        def test_each_is_a_new_one(self, network, round):
            assert network.hosts == {}
            a, b = network.host("a"), network.host("b")
            network.link(a, b, delay="10ms", loss=0.3)
            assert a.os.listdir("/tmp") == []
            a.os.mkdir("/tmp/x")
            self.seen.append((network.ping(a, b, count=20), network.kernel.now(), network.kernel.os.getrandom(8)))
            assert self.seen.count(self.seen[0]) == len(self.seen)

        def test_with_another_kernel(self, network):
            network.link(network.host("a"), network.host("b", kernel=":other"))
            assert network.ping("a", "b").received == 1
"""


def test_networks(sessions: pytest.Pytester) -> None:
    sessions.makepyfile(NETWORKS)
    sessions.runpytest().assert_outcomes(passed=16)


@pytest.mark.parametrize("pcap", ["never", "on-failure"])
def test_a_lent_one_is_as_one_of_one_s_own(sessions: pytest.Pytester, pcap: str) -> None:
    """What a test finds depends neither on which tests ran before nor on what is kept; and a script finds the same."""
    sessions.makepyfile("""
        import liblinux, pytest

        def look(net):
            ping = net.ping("a", "b", count=20)
            net.link("b", net.host("c"), jitter="1ms")
            return ping, net.ping("b", "c"), net.kernel.now(), net.kernel.os.getrandom(8)

        def link(net):
            net.link(net.host("a"), net.host("b"), delay="10ms", jitter="5ms", loss=0.1)

        @pytest.fixture(scope="module")
        def alone(tmp_path_factory):
            with liblinux.Network(clock="virtual", seed=7) as net:
                link(net)
                net.capture(tmp_path_factory.mktemp("alone") / "x.pcapng")
                return look(net)

        @pytest.mark.liblinux_seeds([7, 8, 7, 7])
        def test_it(network, alone, liblinux_seed):
            link(network)
            assert (look(network) == alone) == (liblinux_seed == 7)
    """)
    sessions.runpytest(f"--liblinux-pcap={pcap}").assert_outcomes(passed=4)


@pytest.mark.parametrize("pcap", ["never", "on-failure"])
def test_a_test_may_put_it_back_itself(sessions: pytest.Pytester, pcap: str) -> None:
    sessions.makepyfile("""
        def test_it(network):
            network.link(network.host("a"), network.host("b"), jitter="5ms", delay="10ms")
            network.ping("a", "b")
            then = network.snapshot()
            seen = []
            for _ in range(3):
                seen.append((network.ping("a", "b"), network.kernel.now()))
                network.restore(then)
            assert seen[0] == seen[1] == seen[2]
    """)
    sessions.runpytest(f"--liblinux-pcap={pcap}").assert_outcomes(passed=1)


def test_images(sessions: pytest.Pytester) -> None:
    sessions.makepyfile("""
        import os, pathlib, pytest
        import liblinux

        TREE = {
            "etc": {"hostname": "penguin\\n", "empty": None},
            "usr/bin/tool": (b"#!/bin/sh\\n", 0o755),
            "copied": pathlib.Path(__file__),
            "zeros": bytes(300_000),
        }

        @pytest.mark.parametrize("filesystem", ["ext4", "vfat", "squashfs"])
        def test_content(image_factory, kernel, filesystem):
            first, second = image_factory(TREE, filesystem), image_factory(TREE, filesystem)
            assert first != second and first.read_bytes() == second.read_bytes()
            shared = image_factory(TREE, filesystem, copy=False)
            assert shared == image_factory(TREE, filesystem, copy=False)
            assert first.stat().st_blocks <= shared.stat().st_blocks, "holes stay"
            kernel.mount(kernel.attach(shared, overlay=True), "/mnt")
            assert kernel.open("/mnt/etc/hostname").read() == "penguin\\n"
            assert kernel.os.listdir("/mnt/etc/empty") == []
            assert kernel.open("/mnt/copied", "rb").read() == pathlib.Path(__file__).read_bytes()
            if filesystem != "vfat":
                assert kernel.os.stat("/mnt/usr/bin/tool").st_mode & 0o777 == 0o755
                assert kernel.os.stat("/mnt/usr/bin/tool").st_uid == 0

        def test_sources_of_images(image_factory, tmp_path):
            (tmp_path / "tree").mkdir()
            (tmp_path / "tree" / "file").write_text("one")
            made = [image_factory(tmp_path / "tree", size="20M", label="x", name="named.img")]
            assert made[0] == tmp_path / "named.img" and made[0].stat().st_size == 20 << 20
            (tmp_path / "tree" / "file").write_text("two")
            made.append(image_factory(tmp_path / "tree", size="20M", label="x"))
            with pytest.raises(FileExistsError, match="named.img"):
                image_factory({}, name="named.img")
            for image, text in zip(made, (b"one", b"two")):
                with liblinux.open_image(image) as found:
                    assert found.cat("/file") == text

        @pytest.mark.parametrize("wrong, says", [
            ({"a": 1}, "'a' is a file with content of type int"),
            ({"../a": ""}, "'../a' is no name"),
            ({"": ""}, "'' is no name"),
        ])
        def test_what_cannot_be(image_factory, wrong, says):
            with pytest.raises((TypeError, ValueError), match=says):
                image_factory(wrong)
    """)
    sessions.runpytest().assert_outcomes(passed=7)


def test_the_readme(sessions: pytest.Pytester) -> None:
    """Its example, with the server and the client of an earlier one."""
    programs = next(block for block in EXAMPLES if "async def shout" in block).partition("\nwith ")[0]
    (example,) = (block for block in EXAMPLES if "liblinux_seeds" in block)
    sessions.makepyfile(test_of_readme=f"{programs}\n{example}")
    sessions.runpytest().assert_outcomes(passed=100)


def test_a_session_without_it_does_not_import_the_library(
    sessions: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plugin is there by itself, by its entry point."""
    for name in ("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "PYTEST_ADDOPTS"):
        monkeypatch.delenv(name)
    sessions.makepyfile("""
        import sys

        def test_modules():
            mine = {name for name in sys.modules if name.startswith("liblinux")}
            assert mine == {"liblinux", "liblinux._typing", "liblinux.pytest_plugin"}
    """)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q"], cwd=sessions.path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
