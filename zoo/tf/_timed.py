"""What a study measures in Keras: a forward pass, a matrix product, a profile.

Keras on another engine is timed through Keras alone, as this backend imports no
framework but TensorFlow.
"""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from ..errors import ConfigError
from ._engine import Whole
from ._layers import Model, dtype_scope
from ._run import _native, _on, _outside, _placed

_ROUNDS = 3  # calls that a profile adds up


def settle(threads: int) -> dict[str, Any]:
    """Set threads and precision; return the settings.

    `threads` is for one operator. Operators run one after the other. Keras on another
    engine sets nothing: it uses as many threads as this process may use cores.
    """
    engine = keras.backend.backend()
    flags = {
        "oneDNN": os.environ.get("TF_ENABLE_ONEDNN_OPTS", "default"),
        "XLA flags": os.environ.get("XLA_FLAGS", "none"),
    }
    if engine != "tensorflow":
        return {"engine": f"Keras on {engine}", **_inherited(), **flags}
    import tensorflow as tf
    from tensorflow.python.framework.config import is_op_determinism_enabled

    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    except RuntimeError:
        raise ConfigError(
            "TensorFlow has already run operators, so its threads can no longer be"
            " set: settle must come first in a process."
        ) from None
    tf.config.experimental.enable_tensor_float_32_execution(False)
    tf32 = tf.config.experimental.tensor_float_32_execution_enabled()
    gpus = tf.config.list_physical_devices("GPU")
    facts = [tf.config.experimental.get_device_details(gpu) for gpu in gpus[:1]]
    return {
        "engine": f"Keras on {engine}",
        "threads": tf.config.threading.get_intra_op_parallelism_threads(),
        "interop threads": tf.config.threading.get_inter_op_parallelism_threads(),
        "matmul precision": "default" if tf32 else "highest",
        "TF32": "on" if tf32 else "off",
        "deterministic": "on" if is_op_determinism_enabled() else "off",
        "convolution search": "cuDNN's autotuning" if gpus else "off",
        "device": "gpu" if gpus else "cpu",
        "accelerator": facts[0].get("device_name", "GPU") if facts else "none",
        **flags,
    }


def _inherited() -> dict[str, Any]:
    """Return an engine's settings from the environment, as Keras has no switches."""
    highest = os.environ.get("JAX_DEFAULT_MATMUL_PRECISION", "default")
    off = highest == "highest" or os.environ.get("NVIDIA_TF32_OVERRIDE") == "0"
    device = str(ops.zeros(()).device).lower()
    return {
        "threads": len(os.sched_getaffinity(0)),
        "interop threads": "the engine's own",
        "matmul precision": "highest" if off else "default",
        "TF32": "off" if off else "the engine's own",
        "deterministic": "the engine's own",
        "convolution search": "the engine's own",
        "device": device,
        "accelerator": "none" if "cpu" in device else device,
    }


def arrange(model: Model, channels_last: bool) -> Model:
    """Return the model: Keras is always channels last."""
    return model


def inference(
    model: Model, inputs: Sequence[np.ndarray], compile: bool
) -> Callable[[], Any]:
    """Return a call that runs one forward pass and waits until it is done.

    On TensorFlow it is a tf.function. On another engine it is Keras's own
    `predict_on_batch`, which compiles on JAX, runs eagerly on torch, and returns NumPy.
    """
    with _placed(model):
        xs = tuple(_native(x, model) for x in inputs)
    if keras.backend.backend() != "tensorflow":
        return partial(Whole(model).predict_on_batch, xs)
    import tensorflow as tf

    @tf.function(jit_compile=compile or None, autograph=False)
    def forward(*xs: Any) -> Any:
        # Keras's functional ops promote to floatx.
        with _placed(model), dtype_scope(model.dtype_policy):
            return model(*xs, training=False)

    # A concrete function, as in a SavedModel: it skips the checks of its arguments.
    served = cache(lambda: forward.get_concrete_function(*xs))
    return lambda: _done(served()(*xs))


def _done(tensor: Any) -> Any:
    np.asarray(tensor)  # waits, without a copy on a CPU
    return tensor


def outside(output: Any) -> np.ndarray:
    """Return what such a call returned as NumPy, channels last."""
    return _outside(output)


def matmul(size: int, device: str | None = None) -> Callable[[], Any]:
    """Return a call of one float32 product of two (size, size) matrices."""
    draws = np.random.default_rng(0).random((2, size, size), np.float32)
    with _on(device):
        a, b = (ops.convert_to_tensor(x) for x in draws)
    return lambda: _done(ops.matmul(a, b))


def profile(call: Callable[[], Any], folder: Path) -> list[tuple[str, float, int]]:
    """Run a call under TensorFlow's profiler; write TensorBoard's trace into `folder`.

    XLA fuses operators and names the fusion. Raises ConfigError on another engine.
    """
    if (engine := keras.backend.backend()) != "tensorflow":
        raise ConfigError(
            f"Keras on {engine} has no profiler here: profile it on TensorFlow, or"
            " profile that framework's own backend."
        )
    import tensorflow as tf

    call()
    with tf.profiler.experimental.Profile(str(folder)):
        for _ in range(_ROUNDS):
            call()
    newest = max(folder.rglob("*.xplane.pb"), key=lambda p: p.stat().st_mtime)
    seconds: dict[str, float] = defaultdict(float)
    calls: Counter[str] = Counter()
    for name, duration in _operators(newest):
        seconds[name] += duration
        calls[name] += 1
    rows = [(name, s, calls[name]) for name, s in seconds.items()]
    return sorted(rows, key=lambda row: -row[1])


_FLOW = ("while", "call", "cond", "conditional")  # the operators inside are listed


def _operators(path: Path) -> Iterator[tuple[str, float]]:
    """Yield (operator, seconds) of everything that TensorFlow or XLA ran."""
    from tensorflow.tsl.profiler.protobuf import xplane_pb2  # no public reader

    reader: Any = xplane_pb2
    space = reader.XSpace.FromString(path.read_bytes())
    for plane in space.planes:
        kinds = {i: m.name for i, m in plane.stat_metadata.items()}
        for line in plane.lines:
            for event in line.events:
                metadata = plane.event_metadata[event.metadata_id]
                # TensorFlow's executor shows a node's type, XLA adds a statistic.
                name = metadata.display_name
                if any(kinds[s.metadata_id] == "hlo_op" for s in event.stats):
                    name = re.sub(r"([._](\d+|clone))+$", "", metadata.name)
                if name and name not in _FLOW and not name.startswith("__inference_"):
                    yield name, event.duration_ps / 1e12
