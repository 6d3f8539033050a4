"""What a study measures in Flax: a forward pass, a matrix product, a profile."""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from ._run import _copy, _device, _native, _outside

_ROUNDS = 3  # calls that a profile adds up


def settle(threads: int) -> dict[str, Any]:
    """Set the precision; return the settings.

    XLA uses as many threads as this process may use cores, whatever `threads` is.
    """
    config: Any = jax.config
    config.update("jax_default_matmul_precision", "highest")
    flags = os.environ.get("XLA_FLAGS", "")
    first = jax.devices()[0]
    return {
        "engine": "jax",
        "threads": len(os.sched_getaffinity(0)),
        "interop threads": "the same",
        "matmul precision": config.jax_default_matmul_precision,
        "TF32": "off",  # at the highest precision
        "deterministic": "on" if "deterministic_ops=true" in flags else "off",
        "convolution search": "XLA's autotuning" if first.platform == "gpu" else "off",
        "device": first.platform,
        "accelerator": "none" if first.platform == "cpu" else first.device_kind,
        "oneDNN": "off",
        "XLA flags": flags or "none",
    }


def arrange(model: nnx.Module, channels_last: bool) -> nnx.Module:
    """Return the model: Flax is always channels last."""
    return model


def inference(
    model: nnx.Module, inputs: Sequence[np.ndarray], compile: bool
) -> Callable[[], jax.Array]:
    """Return a call that runs one forward pass and waits until it is done.

    The first call always compiles.
    """
    graph, state = nnx.split(_copy(model, training=False))
    xs = [_native(x, model) for x in inputs]

    @jax.jit
    def forward(state: Any, *xs: jax.Array) -> jax.Array:
        return nnx.merge(graph, state)(*xs)

    return lambda: forward(state, *xs).block_until_ready()


def outside(output: jax.Array) -> np.ndarray:
    """Return what such a call returned as NumPy, channels last."""
    return _outside(output)


def matmul(size: int, device: str | None = None) -> Callable[[], jax.Array]:
    """Return a call of one float32 product of two (size, size) matrices."""
    target = _device(device) if device else None
    draws = np.random.default_rng(0).random((2, size, size), np.float32)
    a, b = (jax.device_put(x, target) for x in draws)
    multiply = jax.jit(jnp.matmul)
    return lambda: multiply(a, b).block_until_ready()


def profile(call: Callable[[], Any], folder: Path) -> list[tuple[str, float, int]]:
    """Run a call under jax.profiler; write XProf's and Perfetto's traces into `folder`.

    XLA fuses operators. A fusion is named after the convolution or product (dot) in it.
    """
    call()
    options = jax.profiler.ProfileOptions()
    options.python_tracer_level = 0
    with jax.profiler.trace(str(folder), profiler_options=options):
        for _ in range(_ROUNDS):
            call()
    newest = max(folder.rglob("*.xplane.pb"), key=lambda p: p.stat().st_mtime)
    names = _names()
    seconds: dict[str, float] = defaultdict(float)
    calls: Counter[str] = Counter()
    for operator, module, duration in _operators(newest):
        name = names.get((module, operator), _kind(operator))
        seconds[name] += duration
        calls[name] += 1
    rows = [(name, s, calls[name]) for name, s in seconds.items()]
    return sorted(rows, key=lambda row: -row[1])


def _operators(path: Path) -> Iterator[tuple[str, str, float]]:
    """Yield (operator, its module, seconds) of everything that XLA ran."""
    for plane in jax.profiler.ProfileData.from_file(str(path)).planes:
        for line in plane.lines:
            for event in line.events:
                stats = {k: str(v) for k, v in event.stats}
                operator = stats.get("hlo_op", "")
                if operator and _kind(operator) not in _FLOW:
                    yield operator, stats["hlo_module"], event.duration_ns / 1e9


_FLOW = ("while", "call", "cond", "conditional")  # the operators inside are listed
_HEAVY = ("convolution", "dot")
_COMPUTATION = re.compile(r"^(?:ENTRY )?%(\S+) \(.*?^}", re.M | re.S)
_INSTRUCTION = re.compile(r"^ +(?:ROOT )?%(\S+) = .*? ([a-z][\w-]*)\(.*$", re.M)
_CALLED = re.compile(r"calls=%([^\s,]+)")


def _kind(operator: str) -> str:
    """Return an operator's name without its number."""
    return re.sub(r"(\.(\d+|clone))+$", "", operator)


def _names() -> dict[tuple[str, str], str]:
    """Return (module, operator) -> name of all operators with a heavy one inside.

    Read from the text of what XLA has compiled in this process.
    """
    result: dict[tuple[str, str], str] = {}
    for executable in jax.devices()[0].client.live_executables():
        for module in executable.hlo_modules():
            blocks = {m[1]: m[0] for m in _COMPUTATION.finditer(module.to_string())}
            codes = {
                name: {m[2] for m in _INSTRUCTION.finditer(text)}
                for name, text in blocks.items()
            }
            for text in blocks.values():
                for m in _INSTRUCTION.finditer(text):
                    called = _CALLED.search(m[0])
                    inside = codes.get(called[1], set()) if called else {m[2]}
                    heavy = next((h for h in _HEAVY if h in inside), None)
                    if heavy:
                        own = _kind(m[1])
                        name = heavy if own == heavy else f"{heavy} ({own})"
                        result[module.name, m[1]] = name
    return result
