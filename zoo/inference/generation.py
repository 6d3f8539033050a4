"""Text from a causal language model: the same tokens in every backend.

A backend computes only the logits. The next token is chosen from them in NumPy, in
float64, with random numbers that depend only on the seed, the row and the position.
"""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any

import numpy as np

from ..backend import Model
from ..configs.attention import GPTConfig
from ..errors import ConfigError, InputError
from ..registry import get_backend
from ..spec.tracing import has_nan


def generate(
    model: Model,
    prompt: Any,
    length: int,
    *,
    temperature: float = 0.0,
    top_k: int | None = None,
    seed: int = 0,
) -> np.ndarray:
    """Return the prompt with `length` more tokens, chosen one after the other.

    Once the text is longer than the model's context, the model sees only the last
    `context` tokens.

    Args:
        model: a `gpt`, of any backend; it runs in eval mode.
        prompt: token ids (T,) or (N, T), T at least 1.
        length: how many tokens to add.
        temperature: 0 takes the most likely token, and among equals the lowest id;
            otherwise tokens are drawn with probability softmax(logits / temperature).
        top_k: draw only among this many of the most likely tokens; None: among all.
        seed: of the draws. A row alone gets the same draws as in a batch.

    Returns:
        int32 ids, (T + length,) or (N, T + length).

    Raises:
        InputError: for another kind of model, ids outside of its vocabulary, or logits
            that are not finite.
        ConfigError: for a length, temperature, top_k or seed out of range.
    """
    backend, config = get_backend(model), model.config
    if not isinstance(config, GPTConfig):
        raise InputError(
            f"generate needs a causal language model (GPT); got {type(model).__name__}."
        )
    ids = _ids(prompt, config.vocabulary)
    _check(length, temperature, top_k, seed)
    draws = [_uniform(seed, row, length) for row in range(len(ids))]
    known = ids.shape[1]
    text = np.zeros((len(ids), known + length), np.int32)
    text[:, :known] = ids
    # One width for the whole text, a power of two, so that Flax compiles once. The
    # zeros behind the text change nothing: attention is causal.
    longest = max(1, known + length - 1)
    width = min(config.context, 1 << (longest - 1).bit_length())
    for i in range(known, known + length):
        window = np.zeros((len(ids), width), np.int32)
        seen = text[:, max(0, i - width) : i]
        window[:, : seen.shape[1]] = seen
        logits = backend.forward(model, (window,))[:, seen.shape[1] - 1]
        if has_nan(logits):
            raise InputError("the model's logits are not finite: has it diverged?")
        for row, z in enumerate(np.asarray(logits, np.float64)):
            u = draws[row][i - known]
            text[row, i] = _choose(z, temperature, top_k, u)
    return text if np.ndim(prompt) == 2 else text[0]


def _choose(z: np.ndarray, temperature: float, top_k: int | None, u: float) -> int:
    """Return the next token from its logits (V,): the likeliest, or drawn by `u`.

    A token is drawn by inverting the cumulative distribution over ids at u in [0, 1).
    Ids stay in order, not sorted by logits: rounding that differs between frameworks
    then cannot swap two tokens of nearly equal logits.
    """
    if temperature == 0:
        return int(z.argmax())
    if top_k is not None and top_k < len(z):
        best = np.argsort(-z, kind="stable")[:top_k]  # stable: the lowest ids of equals
        excluded = np.ones(len(z), bool)
        excluded[best] = False
        z = np.where(excluded, -np.inf, z)
    with np.errstate(over="ignore"):  # a tiny temperature: exp(-inf) = 0
        shares = np.exp((z - z.max()) / temperature).cumsum()
    return int(np.searchsorted(shares, u * shares[-1], side="right"))


def _uniform(seed: int, row: int, count: int) -> np.ndarray:
    """Return numbers in [0, 1), float64; a larger count only appends more."""
    words = np.random.Philox(key=[seed, row]).random_raw(count)
    # 52 bits: the largest number times any total is still below that total
    return (words >> np.uint64(12)) * 2.0**-52


def _ids(prompt: Any, vocabulary: int) -> np.ndarray:
    ids = np.asarray(prompt)
    if ids.dtype.kind not in "iu" or ids.ndim not in (1, 2) or 0 in ids.shape:
        raise InputError(
            "prompt must be token ids, whole numbers of shape (T,) or (N, T); got"
            f" {ids.dtype}{ids.shape}."
        )
    if not 0 <= ids.min() <= ids.max() < vocabulary:
        raise InputError(
            f"prompt must hold ids in [0, {vocabulary}); got {ids.min()} to"
            f" {ids.max()}."
        )
    return np.atleast_2d(ids)


def _check(length: Any, temperature: Any, top_k: Any, seed: Any) -> None:
    def is_integer(value: Any, least: int) -> bool:
        number = isinstance(value, Integral) and not isinstance(value, bool)
        return number and least <= int(value) < 2**64

    if not is_integer(length, 0):
        raise ConfigError(f"length must be a whole number, 0 or more; got {length!r}.")
    if top_k is not None and not is_integer(top_k, 1):
        raise ConfigError(f"top_k must be at least 1, or None; got {top_k!r}.")
    if not is_integer(seed, 0):
        raise ConfigError(f"seed must be an integer in [0, 2**64); got {seed!r}.")
    real = isinstance(temperature, Real) and math.isfinite(temperature)
    if not real or temperature < 0:
        raise ConfigError(f"temperature must be 0 or more; got {temperature!r}.")
