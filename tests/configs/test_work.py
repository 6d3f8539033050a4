"""Multiply-adds of each kind of layer, counted by hand."""

from types import SimpleNamespace

from zoo.configs import _work
from zoo.configs._work import Work


def test_a_linear_layer_uses_every_weight_once_for_each_row():
    assert _work.linear_work("fc", 3, 4) == Work("fc", 12)
    assert _work.linear_work("fc", 3, 4, 10).macs == 120


def test_the_networks_own_input_needs_no_gradient():
    assert _work.linear_work("fc", 3, 4, first=True) == Work("fc", 12, False)
    assert not _work.conv_work("conv", 1, 8, 3, 1, first=True).input_gradient


def test_a_convolution_uses_every_weight_once_for_each_position():
    # 3x3 kernels from 2 to 5 channels, on 6x7 positions
    assert _work.conv_work("conv", 2, 5, 3, 42) == Work("conv", 90 * 42)


def test_attention_has_two_projections_and_two_products():
    into, products, back = _work.attention_work("attn", 8, 5)
    assert into == Work("attn.in_proj", 8 * 24 * 5)
    assert products == Work("attn", 2 * 5 * 5 * 8)
    assert back == Work("attn.out_proj", 8 * 8 * 5)


def test_blocks_are_attention_and_two_linear_layers():
    config = SimpleNamespace(layers=2, d_model=8, d_ff=32)
    works = _work.blocks_work(config, "h.{}", ("attn", "up", "down"), 5, ("qkv", "o"))
    assert [w.name for w in works[:5]] == [
        "h.0.attn.qkv", "h.0.attn", "h.0.attn.o", "h.0.up", "h.0.down",
    ]  # fmt: skip
    assert sum(w.macs for w in works) == 2 * 5 * (
        8 * 24 + 2 * 5 * 8 + 8 * 8 + 2 * 8 * 32
    )


def test_a_recurrent_layer_has_a_part_for_its_input_and_one_for_its_state():
    into, state = _work.recurrent_work("l0_reverse", 4, 3, 6, 7, first=True)
    assert into == Work("rnn.weight_ih_l0_reverse", 4 * 3 * 6 * 7, False)
    assert state == Work("rnn.weight_hh_l0_reverse", 4 * 6 * 6 * 7)
