"""The gates of a recurrent layer, recomputed in NumPy.

Frameworks run a recurrence in one fused kernel, so no submodule returns its gates. They
follow from the layer's weights, under PyTorch's names, and its inputs.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

Arrays = dict[str, np.ndarray]
GATES = {1: "h", 3: "rzn", 4: "ifgo"}  # by how many blocks weight_ih has
TANH = "hng"  # the others are sigmoids


def gates(
    weights: Mapping[str, np.ndarray], x: np.ndarray, lengths: np.ndarray | None = None
) -> tuple[np.ndarray, Arrays]:
    """Return a recurrent layer's outputs, and every gate's values.

    Args:
        weights: of a plain RNN, an LSTM or a GRU: `weight_ih_l0` and so on. Their names
            show how many layers are stacked, and in which directions.
        x: inputs (N, T, C).
        lengths: (N,) numbers of valid steps; None is all.

    Returns:
        The outputs (N, T, D*H), zero after the end, and the gates' values at the valid
        steps of all examples, as {`l0.f`: (steps, H)}: i, f, g, o of an LSTM, r, z, n
        of a GRU, h of a plain RNN. All float64.
    """
    most = x.shape[1]
    ends = np.full(len(x), most) if lengths is None else np.asarray(lengths)
    keep = np.arange(most) < ends[:, None]  # (N, T)
    out, values, layer = np.asarray(x, np.float64), Arrays(), 0
    while f"weight_ih_l{layer}" in weights:
        sides = []  # the directions, (N, T, H) each
        for name in (f"l{layer}", f"l{layer}_reverse"):
            if f"weight_ih_{name}" not in weights:
                continue
            own = {
                k.removesuffix(f"_{name}"): np.asarray(weights[k], np.float64)
                for k in weights
                if k.endswith(f"_{name}")
            }
            side, by_gate = _run(own, out, keep, name.endswith("_reverse"))
            sides.append(side)
            values |= {f"{name}.{gate}": v[keep] for gate, v in by_gate.items()}
        out, layer = np.concatenate(sides, -1), layer + 1
    return out, values


def slope(gate: str, values: np.ndarray) -> np.ndarray:
    """Return a gate's slope at these values, as a share of its steepest slope."""
    return 1 - values**2 if gate[-1] in TANH else 4 * values * (1 - values)


def _run(
    own: Arrays, x: np.ndarray, keep: np.ndarray, backwards: bool
) -> tuple[np.ndarray, Arrays]:
    """Run one layer in one direction: its outputs (N, T, H), and each gate's values.

    The state stays as it is at padded steps, so a backward run starts at the last valid
    step with a state of zero.
    """
    w_hh = own["weight_hh"]
    size = w_hh.shape[1]
    names = GATES[len(w_hh) // size]
    bias = own.get("bias_hh", 0)
    given = x @ own["weight_ih"].T + own["bias_ih"]
    h = cell = np.zeros((len(x), size))
    out = np.zeros((*x.shape[:2], size))
    values = {gate: np.zeros_like(out) for gate in names}
    steps = range(x.shape[1])
    for t in reversed(steps) if backwards else steps:
        blocks = zip(
            names,
            np.split(given[:, t], len(names), -1),
            np.split(h @ w_hh.T + bias, len(names), -1),
        )
        now = Arrays()
        for gate, a, b in blocks:
            z = a + (now["r"] * b if gate == "n" else b)
            now[gate] = np.tanh(z) if gate in TANH else 0.5 * (1 + np.tanh(z / 2))
            values[gate][:, t] = now[gate]
        valid = keep[:, t, None]  # (N, 1)
        if names == "ifgo":
            cell = np.where(valid, now["f"] * cell + now["i"] * now["g"], cell)
            new = now["o"] * np.tanh(cell)
        elif names == "rzn":
            new = (1 - now["z"]) * now["n"] + now["z"] * h
        else:
            new = now["h"]
        h = np.where(valid, new, h)
        out[:, t] = np.where(valid, new, 0)
    return out, values
