"""Dropout masks that are counted, not drawn: the same bits in every framework.

Native dropouts draw from generators of their own, so no seed makes two frameworks drop
the same elements. Here whether an element is kept is a pure function of four numbers:
the step's key, the layer's canonical path, how often the layer was called before in
this pass, and the element's place in the public array (batch first, channels last, C
order). Each room writes `keep` in its own integer operators; this is the reference.

The function is triple32 (Wellons 2018, "Prospecting for hash functions"), a bijection
of 32 bits, on a counter. A second word of the key goes in after the first round, so
that the masks of two keys are not one sequence read from two places. The last shift is
left out: it moves only low bits, which a comparison with a threshold hardly sees. (With
two rounds instead of three, elements 3072 apart were correlated by .008.)
"""

from __future__ import annotations

import hashlib
import math
from typing import Any

import numpy as np

# triple32: x ^= x >> shift; x *= multiplier, three times; then a last shift.
ROUNDS = ((17, 0xED5AD4BB), (11, 0xAC4C1B51), (15, 0x31848BAB))
LAST = 14
WORD = 2**32


def step_key(seed: int, step: int, micro: int = 0) -> int:
    """Return the 32-bit key of one forward pass: of a step, or of a part of its batch.

    Args:
        seed: of the recipe.
        step: counted from 1.
        micro: number of the part, where gradients are accumulated.
    """
    return _digest(f"{seed}:{step}:{micro}")


def salt(name: str) -> int:
    """Return the 32 bits that stand for a layer's canonical path."""
    return _digest(name)


def _digest(text: str) -> int:
    digest = hashlib.blake2b(text.encode(), digest_size=4).digest()
    return int.from_bytes(digest, "little")


def scramble(x: Any) -> Any:
    """Return triple32 of x in [0, 2**32): of Python integers, or of int64 tensors."""
    for shift, multiplier in ROUNDS:
        x = ((x ^ (x >> shift)) * multiplier) & (WORD - 1)
    return x ^ (x >> LAST)


def layer_key(key: Any, name: str, call: int = 0) -> Any:
    """Return the 32-bit key of one call of a layer, of the type of `key`."""
    return scramble(key ^ salt(name) ^ call)


def threshold(rate: float) -> int:
    """Return the least 32-bit number that keeps an element, for a rate in [0, 1)."""
    return min(round(rate * WORD), WORD - 1)


def keep(
    key: int,
    name: str,
    shape: tuple[int, ...],
    rate: float,
    first_row: int = 0,
    call: int = 0,
) -> np.ndarray:
    """Return which elements a dropout keeps: booleans of `shape`.

    Args:
        key: of the step, see `step_key`.
        name: canonical path of the layer.
        shape: of the public array: batch first, channels last.
        rate: share that is dropped, in [0, 1).
        first_row: place of row 0 in the whole batch, for a worker that holds a part.
        call: how often the layer was called before in this pass.
    """
    own = layer_key(key, name, call)
    start = (first_row * math.prod(shape[1:]) + own) % WORD
    x = np.arange(math.prod(shape), dtype=np.uint32) + np.uint32(start)
    for i, (shift, multiplier) in enumerate(ROUNDS):
        if i == 1:
            x ^= np.uint32(scramble(own))
        x = (x ^ (x >> np.uint32(shift))) * np.uint32(multiplier)
    return (x >= np.uint32(threshold(rate))).reshape(shape)
