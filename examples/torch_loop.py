"""Train on digits with the usual PyTorch loop: python examples/torch_loop.py."""

import torch
import torch.nn.functional as F

import zoo
from zoo.data import load
from zoo.data.batches import Batches

LR = 0.125  # a power of two is the same number in every precision


def losses(steps: int = 20, dtype: str = "float32") -> list[float]:
    """Train a small MLP by SGD; return the loss of every step, before its update."""
    model = zoo.build("mlp", "torch", in_features=64, hidden=(32,), dtype=dtype)
    data = load("digits", model.config, seed=0)
    batches = Batches(data.train, 64, seed=0)

    optimizer = torch.optim.SGD(model.parameters(), lr=LR)
    history = []
    model.train()
    for step in range(steps):
        (x,), y = batches.batch(step)  # (64, 64) and (64,), NumPy
        logits = model(torch.tensor(x, dtype=getattr(torch, dtype)))
        loss = F.cross_entropy(logits, torch.tensor(y, dtype=torch.int64))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history.append(loss.item())
    return history


if __name__ == "__main__":
    for step, loss in enumerate(losses(200), 1):
        print(f"step {step:3}  loss {loss:.6f}")
