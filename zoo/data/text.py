"""Characters of the standard library's own help texts, for language models."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterable
from functools import cache
from typing import NamedTuple

import numpy as np

from ..configs._base import Config
from ..errors import ConfigError, InputError
from ..spec.draws import integers
from .fitting import Raw, Source
from .splits import Arrays

TRAIN_PART = 0.9


class Alphabet(NamedTuple):
    """The characters of a text; the id of each is its position."""

    characters: str

    def encode(self, text: str) -> np.ndarray:
        """Return the ids (T,), int32, of a text.

        Raises InputError for a character that is not in the alphabet.
        """
        ids = {c: i for i, c in enumerate(self.characters)}
        for c in text:
            if c not in ids:
                raise InputError(f"{c!r} is not among the characters of the text.")
        return np.fromiter((ids[c] for c in text), np.int32, len(text))

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of ids.

        Raises InputError for an id outside of the alphabet.
        """
        numbers = [int(i) for i in ids]
        for i in numbers:
            if not 0 <= i < len(self.characters):
                raise InputError(
                    f"ids must be in [0, {len(self.characters)}); got {i}."
                )
        return "".join(self.characters[i] for i in numbers)


class Text(NamedTuple):
    """A text in ids: the first 90 % (n,), the last 10 % (m,), both int32."""

    alphabet: Alphabet
    train: np.ndarray
    test: np.ndarray
    sha256: str


@cache
def text() -> Text:
    """Return the help topics of this Python, joined in the order of their names."""
    from pydoc_data.topics import topics

    characters = "\n".join(topics[name] for name in sorted(topics))
    alphabet = Alphabet("".join(sorted(set(characters))))
    ids = alphabet.encode(characters)
    ids.flags.writeable = False
    border = int(TRAIN_PART * len(ids))
    digest = hashlib.sha256(characters.encode()).hexdigest()
    return Text(alphabet, ids[:border], ids[border:], digest)


def bigram_entropy(train: np.ndarray, test: np.ndarray, vocabulary: int) -> float:
    """Return the cross-entropy of a bigram model on held-out text, in nats a character.

    The model is P(b | a) = (count(ab) + 1) / (count(a) + vocabulary), with the counts
    of the training text; the result is the mean of -ln P(b | a) over all neighbours ab
    of the held-out text. A language model with a lower loss has learned more than
    which character follows which.

    Args:
        train, test: ids (n,) and (m,), m at least 2.
        vocabulary: number of characters.
    """
    counts = np.zeros((vocabulary, vocabulary))
    np.add.at(counts, (train[:-1], train[1:]), 1)
    chance = (counts + 1) / (counts.sum(1, keepdims=True) + vocabulary)
    return float(-np.log(chance[test[:-1], test[1:]]).mean())


def source() -> Source:
    """Return the text as windows of characters, each with the next as its target."""

    def read(config: Config, seed: int) -> Raw:
        corpus = text()
        spec = config.inputs()[0]
        length = getattr(config, "context", spec.shape[0])
        starts = np.arange(0, len(corpus.test) - length, length)
        if not len(starts):
            raise ConfigError(
                f"windows of {length} characters are longer than the held-out text of"
                f" {len(corpus.test)}: set a smaller context."
            )
        count = (len(corpus.train) - 1) // length
        high = len(corpus.train) - length
        random = integers(seed, "text:train", (count,), high)
        held_out = corpus.test[: len(starts) * length + 1]
        size = len(corpus.alphabet.characters)
        notes = {
            "source": f"pydoc_data.topics of Python {platform.python_version()}",
            "sha256": corpus.sha256,
            "characters": len(corpus.train) + len(corpus.test),
            "train": count,
            "test": len(starts),
            "window": length,
            "split": f"windows at random places (seed {seed}) of the first 90 %,"
            " windows side by side of the last 10 %",
            "bigram_entropy": bigram_entropy(corpus.train, held_out, size),
        }
        splits = (
            _windows(corpus.train, random, length),
            _windows(held_out, starts, length),
        )
        return Raw(*splits, notes)

    return Source("text", "language", tuple(text().alphabet.characters), (), read)


def _windows(ids: np.ndarray, starts: np.ndarray, length: int) -> Arrays:
    """Return windows (N, T) from each start, and as targets the windows one later."""
    windows = ids[starts[:, None] + np.arange(length + 1)]
    return Arrays((windows[:, :-1],), windows[:, 1:])
