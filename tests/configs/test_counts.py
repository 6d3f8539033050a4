"""Parameter counts against hand arithmetic, layer by layer, and public references."""

import pytest

import zoo
from zoo.registry import twin


def count(name, **overrides):
    """Count without memory: the torch twin on the meta device."""
    import torch

    config = zoo.config(name, **overrides)
    with torch.device("meta"):
        return zoo.count_parameters(twin(config, "torch")(config))


def linear(a, b):
    return a * b + b


def conv(a, b, k=3, bias=True):
    return a * b * k * k + b * bias


def double(a, b):
    return conv(a, b) + conv(b, b)


def lstm(a, h):
    return 4 * (a * h + h * h + h)  # one bias per gate


def gru(a, h):
    return 3 * (a * h + h * h + 2 * h)


def resnet(blocks, widths=(64, 128, 256, 512), classes=1000):
    """Basic-block ResNet for RGB: stem, blocks, 1x1 projections, head."""
    total, a = conv(3, 64, 7, False) + 2 * 64, 64
    for i, (depth, b) in enumerate(zip(blocks, widths)):
        for j in range(depth):
            total += conv(a, b, 3, False) + conv(b, b, 3, False) + 4 * b
            if i and not j:
                total += conv(a, b, 1, False) + 2 * b
            a = b
    return total + linear(a, classes)


def bottlenecks(blocks, widths=(64, 128, 256, 512), classes=1000):
    """Bottleneck ResNet for RGB: every stage begins with a projection."""
    total, a = conv(3, 64, 7, False) + 2 * 64, 64
    for depth, w in zip(blocks, widths):
        for j in range(depth):
            total += conv(a, w, 1, False) + conv(w, w, 3, False)
            total += conv(w, 4 * w, 1, False) + 2 * (w + w + 4 * w)
            if not j:
                total += conv(a, 4 * w, 1, False) + 2 * 4 * w
            a = 4 * w
    return total + linear(a, classes)


def cifar(depth):
    """6n + 2 layers, parameter-free shortcuts."""
    total, a = conv(3, 16, 3, False) + 2 * 16, 16
    for b in (16, 32, 64):
        for _ in range((depth - 2) // 6):
            total += conv(a, b, 3, False) + conv(b, b, 3, False) + 4 * b
            a = b
    return total + linear(64, 10)


def vgg(plan, norm=False):
    total, a = 0, 3
    for b in plan:
        total, a = total + conv(a, b) + 2 * b * norm, b
    return total + linear(512 * 49, 4096) + linear(4096, 4096) + linear(4096, 1000)


def unet(widths, channels, classes):
    *downs, bottom = widths
    ins = [channels, *downs]
    total = sum(double(a, b) for a, b in zip(ins, downs)) + double(ins[-1], bottom)
    a = bottom
    for b in downs[::-1]:
        total, a = total + conv(a, b, 2) + double(2 * b, b), b
    return total + conv(a, classes, 1)


def transformer_block(d, ff):
    attention = linear(d, 3 * d) + linear(d, d)
    return attention + linear(d, ff) + linear(ff, d) + 4 * d


VGG11 = (64, 128, 256, 256, 512, 512, 512, 512)
VGG16 = (64, 64, 128, 128, *3 * (256,), *6 * (512,))
TABLE = {
    "mlp": (linear(784, 256) + linear(256, 256) + linear(256, 10), 269_322),
    "mnist_mlp": (linear(784, 512) + linear(512, 256) + linear(256, 10), 535_818),
    "mnist_mlp_small": (linear(784, 128) + linear(128, 64) + linear(64, 10), 109_386),
    "mlp_bn_gelu": (
        linear(784, 512) + 1024 + linear(512, 256) + 512 + linear(256, 10),
        537_354,
    ),
    "tabular_mlp": (linear(20, 128) + linear(128, 64) + linear(64, 2), 11_074),
    "tiny_mlp": (linear(3, 4) + linear(4, 2), 26),
    "perceptron": (linear(2, 1), 3),
    "cnn": (
        conv(1, 32) + 64 + conv(32, 64) + 128 + conv(64, 128) + 256 + linear(128, 10),
        94_410,
    ),
    "mnist_cnn": (
        conv(1, 32) + conv(32, 64) + linear(64 * 5 * 5, 64) + linear(64, 10),
        121_930,
    ),
    "lenet5": (
        conv(1, 6, 5)
        + conv(6, 16, 5)
        + linear(400, 120)
        + linear(120, 84)
        + linear(84, 10),
        61_706,
    ),
    "vgg11": (vgg(VGG11), 132_863_336),
    "vgg11_bn": (vgg(VGG11, True), 132_868_840),
    "vgg16": (vgg(VGG16), 138_357_544),
    "googlenet": (6_624_904, 6_624_904),
    "sentiment_lstm": (
        20_000 * 128 + 2 * lstm(128, 256) + 2 * lstm(512, 256) + linear(512, 1),
        None,
    ),
    "gru_2x256": (gru(128, 256) + gru(256, 256) + linear(256, 10), None),
    "self_attention": (linear(512, 3 * 512) + linear(512, 512), 1_050_624),
    "gpt2": (
        50_257 * 768 + 1024 * 768 + 12 * transformer_block(768, 3072) + 2 * 768,
        124_439_808,
    ),
    "vit_b_16": (
        conv(3, 768, 16)
        + 768
        + 197 * 768
        + 12 * transformer_block(768, 3072)
        + 2 * 768
        + linear(768, 1000),
        86_567_656,
    ),
    "simple_resnet": (
        conv(3, 64, 7, False)
        + 128
        + 3 * (2 * conv(64, 64, 3, False) + 4 * 64)
        + linear(64, 10),
        None,
    ),
    "resnet18": (resnet((2, 2, 2, 2)), 11_689_512),
    "resnet34": (resnet((3, 4, 6, 3)), 21_797_672),
    "resnet50": (bottlenecks((3, 4, 6, 3)), 25_557_032),
    "resnet101": (bottlenecks((3, 4, 23, 3)), 44_549_160),
    "resnet152": (bottlenecks((3, 8, 36, 3)), 60_192_808),
    "resnet20": (cifar(20), 269_722),
    "resnet32": (cifar(32), None),
    "resnet44": (cifar(44), None),
    "resnet56": (cifar(56), 853_018),
    "resnet110": (cifar(110), 1_727_962),
    "plain20": (cifar(20), 269_722),
    "plain56": (cifar(56), 853_018),
    "unet": (unet((64, 128, 256), 3, 1), 1_862_849),
    "unet_original": (unet((64, 128, 256, 512, 1024), 1, 2), 31_030_658),
}


@pytest.mark.parametrize("name", TABLE)
def test_count(name):
    by_hand, public = TABLE[name]
    assert public is None or by_hand == public
    assert count(name) == by_hand


def test_one_convolution():
    assert conv(3, 64, 3) == 1_792
    assert count("cnn", in_channels=3, widths=(64,), num_classes=1) == (
        1_792 + 2 * 64 + linear(64, 1)
    )


def test_a_count_is_the_same_in_every_backend():
    counts = {
        b: zoo.count_parameters(zoo.build("cnn", b)) for b in ("torch", "tf", "jax")
    }
    assert set(counts.values()) == {94_410}
