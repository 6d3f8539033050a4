"""The engine for a cluster: the same processes, started by Ray on its machines.

A lane is a machine: the cells of a group stay on one, as their times are compared, and
several groups run at once on several. A cell's process is the same as on this machine,
so that Ray's own memory and imports are in no measurement; an actor stands before it
and passes questions on. zoo must be importable on each machine, in the same version.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ..errors import FileError, MissingPackageError
from .engine import TIMEOUT, Failed, Local, Lost, Moved, Worker, python_path
from .machine import host

_POLL = 5.0  # seconds between looks at a machine that may be gone
_SLACK = 60.0  # seconds that an answer may take beyond its own limit
_SLICE = 0.0  # CPUs of a cell's actor: the lane's claim holds what cells use


class Proxy:
    """An actor: passes on what a process of its own machine is asked."""

    def __init__(self, job: dict[str, Any], environment: dict[str, str]) -> None:
        self._worker = Local().start(job, environment)

    def ask(self, do: str, timeout: float | None, arguments: dict[str, Any]) -> Any:
        """Return the answer, or the error as (kind, text)."""
        try:
            return "ok", self._worker.ask(do, timeout, **arguments)
        except (Lost, Failed) as error:
            return type(error).__name__, str(error)


class Claim:
    """An actor that does nothing but hold what its machine has."""

    def ready(self) -> bool:
        """Answer once it is there."""
        return True


class RayEngine:
    """Starts cells on the machines of a Ray cluster.

    Args:
        address: of a cluster that runs; None starts one on this machine.
        threads: CPUs that a group holds while it is timed.
    """

    def __init__(self, address: str | None = None, threads: int = 1) -> None:
        try:
            import ray
        except ModuleNotFoundError as error:
            raise MissingPackageError(
                f"--engine ray needs Ray ({error.name} is not installed): in a checkout"
                " of zoo, run pip install '.[ray]'."
            ) from None
        self.ray: Any = ray
        self._threads = threads
        try:
            ray.init(
                address=address,
                log_to_driver=False,
                ignore_reinit_error=True,
                include_dashboard=None if address else False,
            )
        except (ConnectionError, ValueError, RuntimeError) as error:
            reason = str(error).splitlines()[0]
            raise FileError(
                f"no Ray cluster at {address or 'this machine'}: {reason}"
            ) from None
        fit = [n["NodeID"] for n in self._alive() if self._fits(n)]
        if not fit:
            raise FileError(
                f"no machine of the Ray cluster has {threads} CPUs: give fewer"
                " --threads."
            )
        self._homes = dict(enumerate(fit))  # lane -> machine
        self.lanes = len(fit)
        self.machine = f"ray {address}" if address else host()["id"]

    def _alive(self) -> list[dict[str, Any]]:
        return [node for node in self.ray.nodes() if node["Alive"]]

    def _fits(self, node: Mapping[str, Any]) -> bool:
        return node["Resources"].get("CPU", 0) >= self._threads

    def gone(self, node: str) -> bool:
        """Return whether a machine has left the cluster."""
        return all(n["NodeID"] != node for n in self._alive())

    def start(
        self, job: Mapping[str, Any], environment: Mapping[str, str], lane: int = 0
    ) -> Worker:
        """Start a process on the lane's machine.

        Raises Moved where that machine is gone: the lane then has another one, and all
        cells of its group must begin anew there.
        """
        home = self._homes[lane]
        if self.gone(home):
            self._move(lane, home)
        actor = self._actor(Proxy, home, _SLICE).remote(dict(job), dict(environment))
        return _Remote(self, actor, home)

    def _actor(self, kind: type, home: str, cpus: float) -> Any:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        return self.ray.remote(kind).options(
            num_cpus=cpus,
            max_restarts=0,
            runtime_env={"env_vars": {"PYTHONPATH": python_path()}},
            scheduling_strategy=NodeAffinitySchedulingStrategy(home, soft=False),
        )

    @contextmanager
    def held(self, lane: int) -> Iterator[None]:
        """Hold the CPUs of the lane's machine: groups that share one wait in turn."""
        home = self._homes[lane]
        claim = self._actor(Claim, home, self._threads).remote()
        answer = claim.ready.remote()
        try:
            while not self.ray.wait([answer], timeout=_POLL)[0]:
                if self.gone(home):
                    self._move(lane, home)
            yield
        finally:
            self.ray.kill(claim)

    def _move(self, lane: int, home: str) -> None:
        others = [
            n["NodeID"]
            for n in self._alive()
            if self._fits(n) and n["NodeID"] not in self._homes.values()
        ] or [n["NodeID"] for n in self._alive() if self._fits(n)]
        if not others:
            raise Lost("no machine of the Ray cluster is left")
        self._homes[lane] = others[0]
        raise Moved(f"machine {home[:8]} has left the Ray cluster")

    def close(self) -> None:
        """Leave the cluster; end it if it was started here."""
        self.ray.shutdown()


class _Remote:
    """A worker behind an actor."""

    alive = True

    def __init__(self, engine: RayEngine, actor: Any, node: str) -> None:
        self._engine, self._actor, self._node = engine, actor, node

    def ask(
        self, do: str, timeout: float | None = TIMEOUT, **arguments: Any
    ) -> dict[str, Any]:
        """Return what a method of Bench gives; raises Lost and Failed."""
        ray = self._engine.ray
        answer = self._actor.ask.remote(do, timeout, arguments)
        end = None if timeout is None else time.monotonic() + timeout + _SLACK
        while True:
            # a machine that leaves in good order lets a plain `get` wait for ever
            done, _ = ray.wait([answer], timeout=_POLL)
            if done:
                break
            if self._engine.gone(self._node):
                self.alive = False
                raise Lost(f"machine {self._node[:8]} has left the Ray cluster")
            if end is not None and time.monotonic() > end:
                self.close()
                raise Lost(f"no answer to {do} in {timeout:.0f} s")
        try:
            kind, found = ray.get(answer)
        except ray.exceptions.RayError as error:
            self.alive = False
            raise Lost(f"Ray: {type(error).__name__}") from None
        if kind == "Failed":
            raise Failed(found)
        if kind == "Lost":
            self.alive = False
            raise Lost(found)
        return found

    def close(self) -> None:
        """End the actor, and with it its process."""
        self.alive = False
        try:
            self._engine.ray.kill(self._actor)
        except Exception:  # of a cluster that is gone already
            return
