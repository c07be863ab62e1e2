"""What runs on a network: coroutines, functions that block, threads, and what they wait by."""

from __future__ import annotations

from typing import TypeVar

from liblinux._typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Coroutine

    from liblinux._process import Process
    from liblinux.asyncio._kernels import Bell
    from liblinux.asyncio._selector import KernelSelector
    from liblinux.network._host import Host
    from liblinux.network._network import Network
    from liblinux.running import Run

__all__ = ["Runs"]

_T = TypeVar("_T")


class Runs:
    """All runs of one network, which have one :class:`liblinux.running.Run`.

    `seed` and `reactions` (`strict`, `busy_wait`) are its own.
    """

    def __init__(self, network: Network, seed: int | str | bytes | None, **reactions: Any) -> None:
        self._network = network
        self._seed = seed
        self._reactions = reactions
        self._run: Run | None = None
        self._bells: list[Bell] = []

    @property
    def run(self) -> Run:
        """That of the network, which it brings up."""
        network = self._network
        network.up()
        if self._run is None:
            from liblinux.running import Run  # noqa: PLC0415 - imports asyncio

            self._run = Run(network.kernel, self._seed, self.selector, **self._reactions)
            for host in network._hosts.values():
                if host._process is not None:
                    self._run.attach(host._process)
        return self._run

    def attach(self, process: Process) -> None:
        """A host begins to act: in runs its sockets take turns."""
        if self._run is not None:
            self._run.attach(process)

    def run_coroutine(self, main: Coroutine[Any, Any, _T], host: Host | None) -> _T:
        """See :meth:`Network.run`."""
        from liblinux.asyncio._run import run  # noqa: PLC0415 - imports asyncio

        if not hasattr(main, "send"):
            hint = "; call the function" if callable(main) else ""
            raise TypeError(f"a run is of a coroutine, as main() of 'async def main()', not of {main!r}{hint}")
        network, running = self._network, self.run
        if network._ways_out.outsides and network.kernel.clock == "virtual":
            main = self._serve(main)
        with running.entered():
            return run(
                network.kernel,
                network._faults.around(main),
                host._context() if host else None,
                running.turns,
                self.selector(),
            )

    def run_blocking(self, function: Callable[..., _T], arguments: Any, named: Any, host: Host) -> _T:
        """See :meth:`Host.run_blocking`."""
        from liblinux.running._patches import translate  # noqa: PLC0415 - imports asyncio

        running = self.run
        with running.entered(), self._network._faults.beside(running.turns):
            result: _T = host._context().run(translate(function), *arguments, **named)
            return result

    def start_thread(self, target: Callable[..., object], arguments: Any, named: Any, host: Host) -> threading.Thread:
        """See :meth:`Host.thread`."""
        import threading  # noqa: PLC0415 - as above

        from liblinux.running._patches import translate  # noqa: PLC0415 - as above

        run = self.run
        name = f"{host.name}:{_name(target)}"
        thread = threading.Thread(target=translate(target), name=name, args=arguments, kwargs=named, daemon=True)
        run.start_thread(host._context(), thread)
        return thread

    def selector(self) -> KernelSelector:
        """See :meth:`Network.selector`."""
        from liblinux.asyncio._kernels import Bell, KernelsSelector  # noqa: PLC0415 - imports asyncio
        from liblinux.asyncio._selector import KernelSelector  # noqa: PLC0415 - as above

        network = self._network
        network.up()
        if not network._kernels.several:
            made = KernelSelector(network.kernel)
        else:
            first, *others = network.kernels
            self._bells += [Bell(first, kernel) for kernel in others[len(self._bells) :]]
            made = KernelsSelector(first, self._bells)
        if self._run is not None and self._run.takes_part():
            made.take_turns(self._run.turns)
        return made

    def close(self) -> None:
        """Nothing runs any more."""
        if self._run is not None:
            self._run.close()

    async def _serve(self, main: Coroutine[Any, Any, _T]) -> _T:
        import asyncio  # noqa: PLC0415 - slow, and many networks do without

        for outside in self._network._ways_out.outsides:
            outside.device.serve(asyncio.get_running_loop())
        return await main


def _name(target: Any) -> str:
    return str(getattr(target, "__qualname__", type(target).__name__))
