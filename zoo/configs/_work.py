"""The multiply-adds of each kind of layer, by formula."""

from __future__ import annotations

from typing import Any, NamedTuple


class Work(NamedTuple):
    """The arithmetic of one layer for one example: its matrix multiplications.

    Norms, activations, poolings and embeddings are not counted: they are less than 1 %
    of a network's arithmetic, and limited by memory.
    """

    name: str  # of the layer: the first part of its names in the state
    macs: int  # multiply-adds of the forward pass
    input_gradient: bool = True  # needed in training; not for the network's own input


def linear_work(
    name: str, c_in: int, c_out: int, rows: int = 1, *, first: bool = False
) -> Work:
    """Return a linear layer's work: every weight once for each row."""
    return Work(name, c_in * c_out * rows, not first)


def conv_work(
    name: str,
    c_in: int,
    c_out: int,
    kernel: int,
    positions: int,
    *,
    first: bool = False,
) -> Work:
    """Return a convolution's work: every weight once for each position of the output.

    Products with the zeros of the padding are counted, as in published numbers. For a
    transposed convolution, give the positions of its *input*.
    """
    return Work(name, kernel**2 * c_in * c_out * positions, not first)


def attention_work(
    name: str,
    width: int,
    length: int,
    projections: tuple[str, str] = ("in_proj", "out_proj"),
    *,
    first: bool = False,
) -> tuple[Work, ...]:
    """Return self-attention's work, with its two projections.

    Between them are two products without weights, queries · keys and attention weights
    · values, of T x T x width each. All T x T are counted under a causal mask too, as
    dense kernels compute them all.
    """
    into, back = projections
    return (
        linear_work(f"{name}.{into}", width, 3 * width, length, first=first),
        Work(name, 2 * length**2 * width),
        linear_work(f"{name}.{back}", width, width, length),
    )


def blocks_work(
    config: Any,
    pattern: str,
    names: tuple[str, str, str],
    length: int,
    projections: tuple[str, str] = ("in_proj", "out_proj"),
) -> list[Work]:
    """Return the work of `config.layers` blocks: attention and two linear layers."""
    works: list[Work] = []
    for block in map(pattern.format, range(config.layers)):
        attention, up, down = (f"{block}.{name}" for name in names)
        works += attention_work(attention, config.d_model, length, projections)
        works.append(linear_work(up, config.d_model, config.d_ff, length))
        works.append(linear_work(down, config.d_ff, config.d_model, length))
    return works


def recurrent_work(
    layer: str, gates: int, c_in: int, hidden: int, steps: int, *, first: bool = False
) -> tuple[Work, Work]:
    """Return one direction's work: gates x (in + hidden) x hidden for each step.

    Two parts, because with raw features only the first part needs no gradient of its
    input. `layer` is as in the state's names, such as "l0_reverse".
    """
    return (
        Work(f"rnn.weight_ih_{layer}", gates * c_in * hidden * steps, not first),
        Work(f"rnn.weight_hh_{layer}", gates * hidden * hidden * steps),
    )
