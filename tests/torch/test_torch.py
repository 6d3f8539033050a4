"""The torch twins survive what a PyTorch user does: compile, export, state_dict."""

import numpy as np
import pytest
import torch

import zoo
from tests.representatives import RECURRENT, REPRESENTATIVES, inputs, small
from zoo.torch._run import _native, _outside


def native(model, batch=2, seed=0):
    return [_native(x, model) for x in inputs(model, batch, seed)]


@pytest.mark.parametrize("name", REPRESENTATIVES)
def test_compile(name):
    model = small(name, "torch").eval()
    torch.compiler.reset()
    full = name not in RECURRENT  # torch.compile breaks the graph at any nn.LSTM
    compiled = torch.compile(model, backend="aot_eager", fullgraph=full)
    x = native(model)
    with torch.no_grad():
        torch.testing.assert_close(compiled(*x), model(*x))


@pytest.mark.parametrize("name", REPRESENTATIVES)
def test_export_with_dynamic_batch(name):
    model = small(name, "torch").eval()
    batch = torch.export.Dim("batch", min=1, max=64)
    x = native(model, batch=3)
    shapes = tuple({0: batch} for _ in x)
    program = torch.export.export(model, tuple(x), dynamic_shapes=shapes)
    for count in (2, 5):
        x = native(model, batch=count, seed=1)
        with torch.no_grad():
            torch.testing.assert_close(program.module()(*x), model(*x))


@pytest.mark.parametrize("name", REPRESENTATIVES)
def test_state_dict_round_trip_and_training(name, tmp_path):
    model = small(name, "torch", seed=1)
    torch.save(model.state_dict(), tmp_path / "model.pt")
    fresh = type(model)(model.config)
    fresh.load_state_dict(torch.load(tmp_path / "model.pt", weights_only=True))
    x = native(model)
    model.eval(), fresh.eval()
    with torch.no_grad():
        assert torch.equal(model(*x), fresh(*x))
    fresh.train()
    fresh(*x).square().mean().backward()
    for key, parameter in fresh.named_parameters():
        assert parameter.grad is not None, key


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_lengths_equal_packing(kind, bidirectional):
    """PyTorch's own packed sequences are the reference for variable lengths."""
    from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

    from zoo.torch import _layers

    torch.manual_seed(0)
    ours = getattr(_layers, kind)(4, 5, 2, bidirectional, 0.0).double()
    plain = getattr(torch.nn, kind)(
        4, 5, 2, batch_first=True, bidirectional=bidirectional
    ).double()
    state = {k: torch.zeros_like(v) for k, v in plain.state_dict().items()}
    plain.load_state_dict({**state, **ours.state_dict()})
    x, lengths = torch.randn(4, 7, 4).double(), torch.tensor([7, 1, 3, 5])
    packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    out, h = plain(packed)
    out = pad_packed_sequence(out, batch_first=True, total_length=7)[0]
    h = h[0] if isinstance(h, tuple) else h
    last = torch.cat((h[-2], h[-1]), 1) if bidirectional else h[-1]
    mine, mine_last = ours(x, lengths)
    torch.testing.assert_close(mine, out, rtol=0, atol=1e-14)
    torch.testing.assert_close(mine_last, last, rtol=0, atol=1e-14)
    full, full_last = ours(x)
    same, same_last = ours(x, torch.full((4,), 7))
    torch.testing.assert_close(full, same, rtol=0, atol=1e-14)
    torch.testing.assert_close(full_last, same_last, rtol=0, atol=1e-14)


def test_deepcopy_keeps_the_held_bias_out_of_the_parameters():
    import copy

    model = copy.deepcopy(small("lstm", "torch"))
    names = [n for n, _ in model.named_parameters()]
    assert not any("bias_hh" in n for n in names)
    x = native(model)
    with torch.no_grad():
        outputs = _outside(model(*x))
    wanted = zoo.predict(model, inputs(model))
    np.testing.assert_allclose(outputs, wanted, rtol=1e-5, atol=1e-6)
