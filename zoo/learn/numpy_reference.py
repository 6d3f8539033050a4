"""Neural networks from scratch: what the frameworks do, in NumPy alone.

A network with one hidden layer, for N examples of D features, H hidden units and K
classes. Forward (Rumelhart, Hinton and Williams 1986):

    z = x W₁ᵀ + b₁                (N, H)
    h = max(z, 0)                 (N, H)   ReLU
    s = h W₂ᵀ + b₂                (N, K)   scores, or logits
    p = exp(s) / Σₖ exp(sₖ)       (N, K)   softmax
    L = −1/N Σₙ log p[n, yₙ]      ()       cross-entropy of the labels y

Backward is the chain rule, from the last line to the first. Write dv for ∂L/∂v, which
has the shape of v. As log p[y] = s[y] − log Σₖ exp(sₖ), its derivative in sₖ is
1 − pₖ where k = y, and −pₖ elsewhere. Hence

    ds  = (p − onehot(y)) / N     (N, K)
    dW₂ = dsᵀ h                   (K, H)
    db₂ = Σₙ ds                   (K,)
    dh  = ds W₂                   (N, H)
    dz  = dh where z > 0, else 0  (N, H)
    dW₁ = dzᵀ x                   (H, D)
    db₁ = Σₙ dz                   (H,)

Weights have the names and layouts of the zoo's `mlp` with one hidden layer, so they
may come from `zoo.state(model)` and go back by `zoo.load_state(model, …)`:

    W₁  linears.0.weight      b₁  linears.0.bias
    W₂  head.weight           b₂  head.bias

Last comes the perceptron (Rosenblatt 1958), which learns without a gradient.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

State = dict[str, np.ndarray]


def initial(features: int, hidden: int, classes: int, seed: int = 0) -> State:
    """Return random weights, and biases of 0.

    The weights of a layer have variance 2/inputs (He et al. 2015): ReLU halves the
    signal, and with this variance z and s still start as large as x. Were all weights
    equal, they would stay equal.
    """
    random = np.random.default_rng(seed)
    return {
        "linears.0.weight": random.normal(0, (2 / features) ** 0.5, (hidden, features)),
        "linears.0.bias": np.zeros(hidden),
        "head.weight": random.normal(0, (2 / hidden) ** 0.5, (classes, hidden)),
        "head.bias": np.zeros(classes),
    }


def forward(state: State, x: np.ndarray) -> np.ndarray:
    """Return the logits s (N, K) of features x (N, D)."""
    _, _, s = _layers(state, x)
    return s


def _layers(state: State, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    z = x @ state["linears.0.weight"].T + state["linears.0.bias"]
    h = np.maximum(z, 0)
    s = h @ state["head.weight"].T + state["head.bias"]
    return z, h, s


def cross_entropy(s: np.ndarray, labels: np.ndarray) -> float:
    """Return L, the mean of −log p[y], for logits s (N, K) and labels y (N,)."""
    return float(-_log_softmax(s)[np.arange(len(s)), labels].mean())


def _log_softmax(s: np.ndarray) -> np.ndarray:
    # subtracting the same number from all scores leaves p unchanged, and no exp
    # overflows
    s = s - s.max(1, keepdims=True)
    return s - np.log(np.exp(s).sum(1, keepdims=True))


def gradients(state: State, x: np.ndarray, labels: np.ndarray) -> tuple[float, State]:
    """Return the loss, and its gradient by each weight, under the weights' names.

    x is (N, D), labels are integers (N,) in [0, K). At z = 0, where ReLU has no
    derivative, it is taken as 0, as in the frameworks.
    """
    z, h, s = _layers(state, x)
    ds = np.exp(_log_softmax(s))
    ds[np.arange(len(s)), labels] -= 1
    ds /= len(s)
    dh = ds @ state["head.weight"]
    dz = np.where(z > 0, dh, 0)
    return cross_entropy(s, labels), {
        "linears.0.weight": dz.T @ x,
        "linears.0.bias": dz.sum(0),
        "head.weight": ds.T @ h,
        "head.bias": ds.sum(0),
    }


def sgd_step(state: State, grads: State, lr: float) -> State:
    """Return the weights after a step downhill: v − lr · dv."""
    return {name: v - lr * grads[name] for name, v in state.items()}


def train(
    state: State,
    x: np.ndarray,
    labels: np.ndarray,
    *,
    lr: float = 0.1,
    epochs: int = 10,
    batch_size: int = 32,
    seed: int = 0,
) -> tuple[State, list[float]]:
    """Train by stochastic gradient descent (Robbins and Monro 1951).

    Every epoch sees all examples once, in a new random order, a batch at a time.

    Returns:
        The weights, and the loss of every batch before its step.
    """
    random, losses = np.random.default_rng(seed), []
    for _ in range(epochs):
        order = random.permutation(len(x))
        for start in range(0, len(x), batch_size):
            batch = order[start : start + batch_size]
            loss, grads = gradients(state, x[batch], labels[batch])
            state = sgd_step(state, grads, lr)
            losses.append(loss)
    return state, losses


class Lesson(NamedTuple):
    """A trained perceptron, and the course of its training."""

    state: State  # of the zoo's `perceptron`: head.weight (1, D), head.bias (1,)
    errors: list[int]  # mistakes in each epoch
    path: list[tuple[float, ...]]  # weights and bias after each epoch


def perceptron(x: np.ndarray, labels: np.ndarray, epochs: int = 100) -> Lesson:
    """Teach a perceptron, example by example, until an epoch passes without mistake.

        guess = 1 where w·x + b > 0, else 0
        w ← w + (y − guess) x        b ← b + (y − guess)

    It learns only from mistakes. If a line (a plane …) separates the two classes, as
    with AND, the mistakes end (Novikoff 1962). For XOR no line does (Minsky and Papert
    1969): every epoch has mistakes, and the weights go round in a circle.

    Args:
        x: features (N, D).
        labels: y (N,), 0 or 1.
        epochs: the largest number of them.
    """
    w, b = np.zeros(x.shape[1]), 0.0
    errors, path = [], []
    for _ in range(epochs):
        wrong = 0
        for features, label in zip(x, labels):
            guess = w @ features + b > 0
            mistake = int(label) - int(guess)
            w, b = w + mistake * features, b + mistake
            wrong += abs(mistake)
        errors.append(wrong)
        path.append((*w.tolist(), b))
        if not wrong:
            break
    return Lesson({"head.weight": w[None], "head.bias": np.array([b])}, errors, path)
