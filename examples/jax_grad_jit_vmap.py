"""Train on digits in plain JAX: python examples/jax_grad_jit_vmap.py.

The network is a function of one example. `vmap` turns it into a function of a batch,
`grad` computes its gradient, and `jit` compiles the whole step.
"""

import jax
import jax.numpy as jnp
from jax import Array

import zoo
from zoo.data import load
from zoo.data.batches import Batches

LR = 0.125  # a power of two is the same number in every precision

Weights = dict[str, Array]


def logits(weights: Weights, x: Array) -> Array:
    """Return the logits (10,) of one digit (64,)."""
    hidden = weights["linears.0.weight"] @ x + weights["linears.0.bias"]
    return weights["head.weight"] @ jax.nn.relu(hidden) + weights["head.bias"]


def example_loss(weights: Weights, x: Array, y: Array) -> Array:
    """Return the cross-entropy of one digit x (64,) with label y."""
    return -jax.nn.log_softmax(logits(weights, x))[y]


def batch_loss(weights: Weights, x: Array, y: Array) -> Array:
    """Return the mean loss of a batch: x (N, 64), y (N,)."""
    return jax.vmap(example_loss, (None, 0, 0))(weights, x, y).mean()


@jax.jit
def train_step(weights: Weights, x: Array, y: Array) -> tuple[Weights, Array]:
    """Return the weights after a step of SGD, and the loss before it."""
    loss, grads = jax.value_and_grad(batch_loss)(weights, x, y)
    return jax.tree.map(lambda w, g: w - LR * g, weights, grads), loss


def losses(steps: int = 20, dtype: str = "float32") -> list[float]:
    """Train a small MLP by SGD; return the loss of every step, before its update."""
    if dtype == "float64":
        jax.config.update("jax_enable_x64", True)
    model = zoo.build("mlp", "jax", in_features=64, hidden=(32,), dtype=dtype)
    data = load("digits", model.config, seed=0)
    batches = Batches(data.train, 64, seed=0)

    weights = {name: jnp.asarray(w) for name, w in zoo.state(model).items()}
    history = []
    for step in range(steps):
        (x,), y = batches.batch(step)  # (64, 64) and (64,), NumPy
        weights, loss = train_step(weights, jnp.asarray(x, dtype), jnp.asarray(y))
        history.append(float(loss))
    return history


if __name__ == "__main__":
    for step, loss in enumerate(losses(200), 1):
        print(f"step {step:3}  loss {loss:.6f}")
