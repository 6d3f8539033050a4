"""What a study times in Keras: one forward pass, one matrix product, a profile.

Keras on another engine is timed through Keras alone: this room knows no other
framework than TensorFlow.
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

_ROUNDS = 3  # calls that a profile sums up


def settle(threads: int) -> dict[str, Any]:
    """Set what must be the same in all rooms; return what is set, for people to read.

    Args:
        threads: of one operator; operators themselves run one after the other. Keras
            on another engine takes as many as this process has cores: the caller pins
            it to so many.

    Raises ConfigError where TensorFlow has run already: its threads are then fixed.
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
            "TensorFlow has run operators, so its threads cannot be set any more:"
            " settle must come first in a process."
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
    """Return what an engine was told by the environment: Keras itself has no switch."""
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
    """Return the model: Keras is channels last anyway."""
    return model


def inference(
    model: Model, inputs: Sequence[np.ndarray], compile: bool
) -> Callable[[], Any]:
    """Return a call that runs one forward pass, and returns when the work is done.

    On TensorFlow a tf.function; on another engine Keras's own `predict_on_batch`,
    which compiles on JAX, runs eagerly on torch, and gives NumPy.

    Args:
        model: left as it is.
        inputs: NumPy, channels last; converted here, once.
        compile: let XLA compile the function.
    """
    with _placed(model):
        xs = tuple(_native(x, model) for x in inputs)
    if keras.backend.backend() != "tensorflow":
        return partial(Whole(model).predict_on_batch, xs)
    import tensorflow as tf

    @tf.function(jit_compile=compile or None, autograph=False)
    def forward(*xs: Any) -> Any:
        # Keras's functional ops look at floatx for what they promote to
        with _placed(model), dtype_scope(model.dtype_policy):
            return model(*xs, training=False)

    # without tf.function's own look at its arguments, as a SavedModel is served
    served = cache(lambda: forward.get_concrete_function(*xs))
    return lambda: _done(served()(*xs))


def _done(tensor: Any) -> Any:
    np.asarray(tensor)  # waits; on a CPU no copy
    return tensor


def outside(output: Any) -> np.ndarray:
    """Return what such a call gave as NumPy, channels last."""
    return _outside(output)


def matmul(size: int, device: str | None = None) -> Callable[[], Any]:
    """Return a call of one float32 product of two (size, size) matrices."""
    draws = np.random.default_rng(0).random((2, size, size), np.float32)
    with _on(device):
        a, b = (ops.convert_to_tensor(x) for x in draws)
    return lambda: _done(ops.matmul(a, b))


def profile(call: Callable[[], Any], folder: Path) -> list[tuple[str, float, int]]:
    """Run a call under TensorFlow's profiler; leave what TensorBoard reads in `folder`.

    Returns (operator, seconds in all, calls), the largest first. XLA melts operators
    together and names what comes out. Raises ConfigError for another engine.
    """
    if (engine := keras.backend.backend()) != "tensorflow":
        raise ConfigError(
            f"Keras on {engine} has no profiler here: profile it on TensorFlow, or"
            " look at the room of that framework."
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


_FLOW = ("while", "call", "cond", "conditional")  # what they run is listed by itself


def _operators(path: Path) -> Iterator[tuple[str, float]]:
    """Yield (operator, seconds) of everything that TensorFlow or XLA ran."""
    from tensorflow.tsl.profiler.protobuf import xplane_pb2  # no public reader

    reader: Any = xplane_pb2
    space = reader.XSpace.FromString(path.read_bytes())
    for plane in space.planes:
        kinds = {i: m.name for i, m in plane.stat_metadata.items()}
        for line in plane.lines:
            for event in line.events:
                about = plane.event_metadata[event.metadata_id]
                # TensorFlow's executor shows a node's type; XLA gives a fact
                name = about.display_name
                if any(kinds[s.metadata_id] == "hlo_op" for s in event.stats):
                    name = re.sub(r"([._](\d+|clone))+$", "", about.name)
                if name and name not in _FLOW and not name.startswith("__inference_"):
                    yield name, event.duration_ps / 1e12
