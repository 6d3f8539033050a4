"""The public reference implementations: same names, same outputs, random weights."""

import sys

import keras
import numpy as np
import pytest
import torch

import zoo

SAME_IN_TORCH = 1e-6  # the same operators on the same weights, in float32
SAME = 1e-10  # other backends, in float64


@pytest.fixture(scope="module")
def torchvision():
    """Return torchvision.models; without its compiled operators where need be."""
    try:
        import torchvision
    except RuntimeError:  # the registry's build has operators for CUDA alone
        for name in [n for n in sys.modules if n.startswith("torchvision")]:
            del sys.modules[name]
        library = torch.library.Library("torchvision", "DEF")
        boxes = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
        library.define(f"nms{boxes}")
        library.define(f"qnms{boxes}")
        import torchvision

        torchvision.zoo_library = library  # or its definitions go with it
    return torchvision.models


def agree(reference, name, shape, **overrides):
    """Load the reference's weights into each backend; compare the outputs."""
    torch.manual_seed(0)
    reference = reference.eval().double()
    with torch.no_grad():
        for buffer_name, buffer in reference.named_buffers():
            if "running" in buffer_name:
                buffer.uniform_(0.5, 1.5)
    state = {k: v.numpy() for k, v in reference.state_dict().items()}
    x = np.random.default_rng(0).normal(size=shape)
    with torch.no_grad():
        expected = reference(torch.from_numpy(x.transpose(0, 3, 1, 2))).numpy()
    for backend in ("torch", "tf", "jax"):
        model = zoo.build(name, backend, **overrides)
        names = [k for k in state if not k.endswith("num_batches_tracked")]
        assert list(zoo.state(model)) == names or backend != "torch"
        with zoo.registry.get_backend(backend).exact(model, "float64") as exact:
            zoo.registry.get_backend(backend).write(exact, state)
            y = zoo.registry.get_backend(backend).forward(exact, (x,))
        error = abs(y - expected).max() / abs(expected).max()
        assert error < SAME, (backend, error)


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_torchvision_resnet(torchvision, name):
    shape = (2, 48, 49, 3)
    agree(getattr(torchvision, name)(num_classes=7), name, shape, num_classes=7)


def test_torchvision_vgg(torchvision):
    reference = torchvision.vgg11_bn(init_weights=False)
    layers = [k for k in reference.state_dict() if "tracked" not in k]
    assert list(zoo.state(zoo.build("vgg11_bn"))) == layers
    agree(reference, "vgg11_bn", (1, 64, 64, 3), image_size=64)


def test_torchvision_googlenet(torchvision):
    reference = torchvision.googlenet(
        aux_logits=False, init_weights=False, num_classes=7
    )
    agree(reference, "googlenet", (2, 64, 64, 3), num_classes=7)


def test_torchvision_vit(torchvision):
    reference = torchvision.VisionTransformer(
        image_size=32,
        patch_size=8,
        num_layers=11,
        num_heads=3,
        hidden_dim=48,
        mlp_dim=64,
        num_classes=7,
    )
    torch.nn.init.normal_(reference.heads.head.weight)
    agree(
        reference,
        "vit_b_16",
        (2, 32, 32, 3),
        image_size=32,
        patch_size=8,
        layers=11,
        heads=3,
        d_model=48,
        d_ff=64,
        num_classes=7,
    )


RESNETS = [f"resnet{depth}" for depth in (18, 34, 50, 101, 152)]
VGGS = [f"vgg{depth}" for depth in (11, 13, 16, 19)]


@pytest.mark.parametrize("name", [*RESNETS, *VGGS, "vgg19_bn", "vit_b_16"])
def test_torchvision_names_and_shapes(torchvision, name):
    with torch.device("meta"):
        reference = getattr(torchvision, name)()
        ours = zoo.registry.twin(zoo.config(name), "torch")(zoo.config(name))
    shapes = lambda m: {k: v.shape for k, v in m.state_dict().items()}  # noqa: E731
    assert list(shapes(ours).items()) == list(shapes(reference).items())


def test_a_torchvision_file_loads_in_every_backend(torchvision, tmp_path):
    """With auxiliary heads, as the public file of GoogLeNet has them."""
    reference = torchvision.googlenet(aux_logits=True, init_weights=False).eval()
    torch.save(reference.state_dict(), tmp_path / "googlenet.pth")
    x = np.random.default_rng(0).normal(size=(1, 64, 64, 3)).astype(np.float32)
    with torch.no_grad():
        y = reference(torch.from_numpy(x.transpose(0, 3, 1, 2))).numpy()
    for backend in ("torch", "tf", "jax"):
        model = zoo.load(tmp_path / "googlenet.pth", backend, name="googlenet")
        error = abs(zoo.predict(model, x) - y).max() / abs(y).max()
        assert error < 1e-5, (backend, error)


def test_what_convert_writes_loads_in_torchvision(torchvision, tmp_path):
    from safetensors.torch import load_file

    from zoo.files.weights import export_native

    model = zoo.build("resnet18", "jax", num_classes=7)
    export_native(model, tmp_path / "resnet18.safetensors", "torch")
    reference = torchvision.resnet18(num_classes=7)
    reference.load_state_dict(load_file(tmp_path / "resnet18.safetensors"), strict=True)


def test_keras_applications_resnet50():
    """The older form: the stride in the first 1x1, biases, another epsilon."""
    reference = keras.applications.ResNet50(weights=None, classifier_activation=None)
    ours = zoo.build("resnet50_v1", "tf")
    assert (
        reference.count_params()
        == zoo.registry.get_backend("tf").count(ours)
        == 25_636_712
    )
    rng = np.random.default_rng(0)
    for layer in reference.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.moving_mean.assign(rng.uniform(-0.1, 0.1, layer.moving_mean.shape))
    parts = {
        "conv1": "conv1_conv",
        "bn1": "conv1_bn",
        "fc": "predictions",
    }
    for stage, depth in enumerate((3, 4, 6, 3), 1):
        for i in range(depth):
            block, theirs = f"layer{stage}.{i}", f"conv{stage + 1}_block{i + 1}"
            for j in (1, 2, 3):
                parts[f"{block}.conv{j}"] = f"{theirs}_{j}_conv"
                parts[f"{block}.bn{j}"] = f"{theirs}_{j}_bn"
            if i == 0:
                parts[f"{block}.downsample.0"] = f"{theirs}_0_conv"
                parts[f"{block}.downsample.1"] = f"{theirs}_0_bn"
    modules = zoo.registry.get_backend("tf").submodules(ours)
    for path, name in parts.items():
        modules[path].set_weights(reference.get_layer(name).get_weights())
    x = rng.normal(size=(1, 224, 224, 3)).astype(np.float32)
    expected = np.asarray(reference(x, training=False))
    for backend in ("torch", "tf", "jax"):
        y = zoo.predict(zoo.convert(ours, backend), x)
        assert abs(y - expected).max() < 1e-4 * abs(expected).max(), backend


def test_hugging_face_gpt2(torchvision):  # transformers imports it
    """Names and layouts of HF's file, outputs of its class, in every backend."""
    from transformers import GPT2Config, GPT2LMHeadModel

    shape = {"vocab_size": 50, "n_positions": 16, "n_embd": 20, "n_layer": 11}
    torch.manual_seed(0)
    settings = GPT2Config(**shape, n_head=2, attn_implementation="eager")
    reference = GPT2LMHeadModel(settings).eval().double()
    state = {k: v.numpy() for k, v in reference.state_dict().items()}
    tokens = np.random.default_rng(0).integers(0, 50, (2, 9))
    with torch.no_grad():
        expected = reference(torch.from_numpy(tokens)).logits.numpy()
    ours = {"vocabulary": 50, "context": 16, "d_model": 20, "layers": 11, "heads": 2}
    for backend in ("torch", "tf"):
        model = zoo.build("gpt2", backend, d_ff=80, length=9, dtype="float64", **ours)
        zoo.load_state(model, state)
        y = zoo.predict(model, tokens)
        assert abs(y - expected).max() < SAME * abs(expected).max(), backend
        twin = zoo.convert(model, backend)
        assert zoo.check(model, twin, dtypes=["float64"], rungs=["forward"]).ok
    single = zoo.build("gpt2", "jax", d_ff=80, length=9, **ours)
    zoo.load_state(single, state)
    y = zoo.predict(single, tokens)
    assert abs(y - expected).max() < 1e-5 * abs(expected).max()
