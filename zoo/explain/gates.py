"""The gates of a recurrent layer, recomputed in NumPy.

Frameworks run a recurrence in one fused kernel, so its gates are no output of any
submodule. They follow from the layer's weights, under PyTorch's names, and its inputs.
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
        weights: `weight_ih_l0` and so on, of a plain RNN, an LSTM or a GRU, stacked
            and in both directions as the names say.
        x: inputs (N, T, C).
        lengths: (N,) steps that count; None is all.

    Returns:
        The outputs (N, T, D*H), zero past the end, and {`l0.f`: (steps, H)} with the
        gates' values at the steps that count, of all examples: i, f, g, o of an LSTM,
        r, z, n of a GRU, h of a plain RNN. All float64.
    """
    most = x.shape[1]
    ends = np.full(len(x), most) if lengths is None else np.asarray(lengths)
    keep = np.arange(most) < ends[:, None]  # (N, T)
    out, found, layer = np.asarray(x, np.float64), Arrays(), 0
    while f"weight_ih_l{layer}" in weights:
        sides = []
        for name in (f"l{layer}", f"l{layer}_reverse"):
            if f"weight_ih_{name}" not in weights:
                continue
            ours = [k for k in weights if k.endswith(f"_{name}")]
            own = {
                k.removesuffix(f"_{name}"): np.asarray(weights[k], np.float64)
                for k in ours
            }
            side, values = _run(own, out, keep, name.endswith("_reverse"))
            sides.append(side)
            found |= {f"{name}.{gate}": v[keep] for gate, v in values.items()}
        out, layer = np.concatenate(sides, -1), layer + 1
    return out, found


def slope(gate: str, values: np.ndarray) -> np.ndarray:
    """Return a gate's slope where it has these values, as a share of its steepest."""
    return 1 - values**2 if gate[-1] in TANH else 4 * values * (1 - values)


def _run(
    own: Arrays, x: np.ndarray, keep: np.ndarray, backwards: bool
) -> tuple[np.ndarray, Arrays]:
    """Run one layer in one direction; backwards, padding leaves the state at zero."""
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
        here = keep[:, t, None]
        if names == "ifgo":
            cell = np.where(here, now["f"] * cell + now["i"] * now["g"], cell)
            new = now["o"] * np.tanh(cell)
        elif names == "rzn":
            new = (1 - now["z"]) * now["n"] + now["z"] * h
        else:
            new = now["h"]
        h = np.where(here, new, h)
        out[:, t] = np.where(here, new, 0)
    return out, values
