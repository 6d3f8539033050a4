"""The engine for a cluster: the same processes, started by Ray on its machines.

A lane is a machine. The cells of a group stay on one machine, as their times are
compared; several groups run at once on several machines. A cell's process is the same
as with the local engine, so that Ray's own memory and imports are not measured: an
actor starts it and forwards requests. Each machine must have the same version of zoo.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ..errors import FileError, MissingPackageError
from .engine import TIMEOUT, Failed, Local, Lost, Moved, Worker, python_path
from .machine import host

_POLL = 5.0  # seconds between checks whether a machine is gone
_SLACK = 60.0  # seconds that an answer may take beyond its timeout
_SLICE = 0.0  # CPUs of a cell's actor: the lane's claim reserves them


class Proxy:
    """An actor: forwards requests to a process on its own machine."""

    def __init__(self, job: dict[str, Any], environment: dict[str, str]) -> None:
        self._worker = Local().start(job, environment)

    def ask(self, do: str, timeout: float | None, arguments: dict[str, Any]) -> Any:
        """Return the answer, or the error as (kind, text)."""
        try:
            return "ok", self._worker.ask(do, timeout, **arguments)
        except (Lost, Failed) as error:
            return type(error).__name__, str(error)


class Claim:
    """An actor that only reserves CPUs of its machine."""

    def ready(self) -> bool:
        """Answer as soon as the actor runs."""
        return True


class RayEngine:
    """Starts cells on the machines of a Ray cluster.

    Args:
        address: of a running cluster; None starts one on this machine.
        threads: CPUs that a group reserves while it is timed.
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
        self._nodes = dict(enumerate(fit))  # lane -> id of its machine
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

        Raises Moved if that machine is gone: the lane then has another one, and all
        cells of its group must begin anew there.
        """
        node = self._nodes[lane]
        if self.gone(node):
            self._move(lane, node)
        actor = self._actor(Proxy, node, _SLICE).remote(dict(job), dict(environment))
        return _Remote(self, actor, node)

    def _actor(self, kind: type, node: str, cpus: float) -> Any:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        return self.ray.remote(kind).options(
            num_cpus=cpus,
            max_restarts=0,
            runtime_env={"env_vars": {"PYTHONPATH": python_path()}},
            scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False),
        )

    @contextmanager
    def held(self, lane: int) -> Iterator[None]:
        """Reserve CPUs of the lane's machine; another group there waits for them."""
        node = self._nodes[lane]
        claim = self._actor(Claim, node, self._threads).remote()
        answer = claim.ready.remote()
        try:
            while not self.ray.wait([answer], timeout=_POLL)[0]:
                if self.gone(node):
                    self._move(lane, node)
            yield
        finally:
            self.ray.kill(claim)

    def _move(self, lane: int, node: str) -> None:
        """Give a lane another machine, an unused one first; raises Moved, or Lost."""
        others = [
            n["NodeID"]
            for n in self._alive()
            if self._fits(n) and n["NodeID"] not in self._nodes.values()
        ] or [n["NodeID"] for n in self._alive() if self._fits(n)]
        if not others:
            raise Lost("no machine of the Ray cluster is left")
        self._nodes[lane] = others[0]
        raise Moved(f"machine {node[:8]} has left the Ray cluster")

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
        """Return the result of a method of Bench; raises Lost and Failed."""
        ray = self._engine.ray
        answer = self._actor.ask.remote(do, timeout, arguments)
        end = None if timeout is None else time.monotonic() + timeout + _SLACK
        while True:
            # a plain `get` would wait for ever if a machine is shut down properly
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
            kind, result = ray.get(answer)
        except ray.exceptions.RayError as error:
            self.alive = False
            raise Lost(f"Ray: {type(error).__name__}") from None
        if kind == "Failed":
            raise Failed(result)
        if kind == "Lost":
            self.alive = False
            raise Lost(result)
        return result

    def close(self) -> None:
        """End the actor and its process."""
        self.alive = False
        try:
            self._engine.ray.kill(self._actor)
        except Exception:  # the cluster may be gone already
            return
