"""What benchmarks measure in C leaves the kernel as it was."""

from __future__ import annotations

import pytest

from liblinux import Kernel, _native


def test_measurements_leave_no_tasks_behind() -> None:
    with Kernel() as kernel:
        with kernel.socket.create_server(("127.0.0.1", 0)) as server:
            client = kernel.socket.create_connection(server.getsockname())
            accepted, _ = server.accept()
        with client, accepted:
            _native.switch_nanoseconds(kernel._process, 10)
            tasks = kernel.os.listdir("/proc/1/task")
            ends = client.fileno(), accepted.fileno()
            for _ in range(5):
                assert 0 < _native.exchange_nanoseconds(kernel._process, 10, *ends) < 1e8
                assert 0 < _native.exchange_nanoseconds(kernel._process, 10, *ends, 1) < 1e8
                assert 0 < _native.switch_nanoseconds(kernel._process, 10) < 1e8
            assert kernel.os.listdir("/proc/1/task") == tasks
            with pytest.raises(ValueError, match="tasks 1 or 2"):
                _native.exchange_nanoseconds(kernel._process, 10, *ends, 3)
