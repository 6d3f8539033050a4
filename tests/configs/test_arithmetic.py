"""Multiply-adds counted from a config, against what the frameworks really do."""

import pytest

import zoo
from zoo.configs._base import Config
from zoo.configs.arithmetic import multiply_adds
from zoo.registry import twin

torch = pytest.importorskip("torch")

# What torchvision publishes with its weights (`_ops` of each, in 10^9, at 224x224).
PUBLISHED = {
    "googlenet": 1.498,
    "resnet18": 1.814,
    "resnet34": 3.664,
    "resnet50": 4.089,
    "resnet101": 7.801,
    "resnet152": 11.514,
    "vgg11": 7.609,
    "vgg13": 11.308,
    "vgg16": 15.47,
    "vgg19": 19.632,
    "vit_b_16": 17.564,
}


def counted(config):
    """Return what torch's own counter sees: multiply-adds of forward and of both.

    On the meta device every recurrent kernel is decomposed into the products that it
    is made of. Fused attention is switched off: its backward pass computes the
    scores a second time, to save memory, which is 2.5 forwards instead of 2.
    """
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    with torch.device("meta"), sdpa_kernel(SDPBackend.MATH):
        model = twin(config, "torch")(config).eval().to("meta")
        inputs = []
        for spec in config.inputs():
            if spec.kind == "token":
                inputs.append(torch.zeros(1, *spec.shape, dtype=torch.int64))
            elif not spec.optional:
                shape = spec.shape
                if len(shape) == 3:
                    shape = (shape[2], shape[0], shape[1])
                inputs.append(torch.zeros(1, *shape))
        with FlopCounterMode(display=False) as forward:
            model(*inputs)
        with FlopCounterMode(display=False) as both:
            model(*inputs).sum().backward()
    return forward.get_total_flops() // 2, both.get_total_flops() // 2


def skipped(config):
    """Return what torch leaves out: the gradient of the first step's zero state.

    Autograd sees that nothing needs it. A kernel that takes all steps together, and a
    scan, compute it like any other step's; so do we.
    """
    hidden = [w for w in config.work() if ".weight_hh_" in w.name]
    return sum(work.macs // config.length for work in hidden)


# In full too; all others small, with odd sizes for every pool and stride.
FULL = ("resnet50", "vgg16", "vit_b_16", "gpt2", "unet", "googlenet", "sentiment_lstm")


@pytest.mark.parametrize("name", zoo.list_models())
def test_as_torch_counts_them(name):
    small = zoo.config(name).small()
    for config in (small, zoo.config(name)) if name in FULL else (small,):
        macs = multiply_adds(config)
        inference, training = counted(config)
        assert macs.inference == inference
        assert macs.training - skipped(config) == training


@pytest.mark.parametrize("name", PUBLISHED)
def test_as_torchvision_publishes_them(name):
    assert round(multiply_adds(zoo.config(name)).inference / 1e9, 3) == PUBLISHED[name]


def test_recurrent_by_hand():
    # 64 tokens, two directions. Four gates of 256, from 128 of the embedding and 256
    # of the state; then from the first layer's 2 x 256 and 256 of the state; one logit.
    first, second = 4 * 256 * (128 + 256), 4 * 256 * (512 + 256)
    macs = multiply_adds(zoo.config("sentiment_lstm"))
    assert macs.inference == 64 * 2 * (first + second) + 512
    assert macs.training == 3 * macs.inference  # embeddings learn, so all inputs do

    # Raw features: of the input's part, 3 gates x 128 x 256, only weights need any.
    macs = multiply_adds(zoo.config("gru"))
    state, head = 32 * 3 * 256 * 256, 256 * 10
    raw = 32 * 3 * 128 * 256
    assert macs.training == 3 * (state + head) + 2 * raw


@pytest.mark.parametrize("name", zoo.list_models())
def test_names_are_the_layers(name):
    config = zoo.config(name).small()
    with torch.device("meta"):
        model = twin(config, "torch")(config)
    layers = [work.name for work in config.work()]
    assert len(set(layers)) == len(layers)
    # Every matrix and kernel is some layer's, but for tables that are only looked up.
    tables = ("embedding.", "position.", "wpe.", "class_token", "encoder.pos_embedding")
    matrices = {n for n, p in model.named_parameters() if p.ndim > 1}
    matrices = {n for n in matrices if not n.startswith(tables)}
    found = {m for m in matrices if m.removesuffix(".weight") in layers}
    found |= {m for m in matrices if m.removesuffix("_weight") in layers}
    assert found == matrices
    named = {m.removesuffix(".weight").removesuffix("_weight") for m in found}
    modules = dict(model.named_modules())
    for layer in set(layers) - named:  # attention's products, which have no weights
        assert hasattr(modules[layer], "heads")


def test_not_counted():
    class OtherConfig(Config):
        pass

    assert multiply_adds(OtherConfig()) is None
