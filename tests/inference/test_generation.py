"""Generated text: the same in every backend, and what the definition says."""

import math
import sys

import numpy as np
import pytest

import zoo
from zoo.configs.attention import GPTConfig
from zoo.errors import ConfigError, InputError
from zoo.inference.generation import _choose, _uniform, generate

BACKENDS = ("torch", "tf", "jax")
CONFIG = GPTConfig(
    vocabulary=50, context=12, d_model=20, heads=2, layers=2, d_ff=40, length=7
)
PROMPT = np.array([[3, 1, 4, 1, 5], [9, 2, 6, 5, 3], [0, 49, 0, 0, 49]])


@pytest.fixture(scope="module")
def models():
    """Return the same model in every backend, its weights far from their start."""
    first = zoo.build(CONFIG)
    random = np.random.default_rng(0)
    lively = {
        name: v + random.normal(0, 0.3, v.shape).astype(np.float32)
        for name, v in zoo.state(first).items()
    }
    zoo.load_state(first, lively)
    return {backend: zoo.convert(first, backend) for backend in BACKENDS}


def same(models, *args, **kwargs):
    """Return what all backends generate, once they agree."""
    texts = [generate(models[b], *args, **kwargs) for b in BACKENDS]
    for backend, text in zip(BACKENDS, texts):
        assert np.array_equal(text, texts[0]), backend
    return texts[0]


def test_greedy_is_the_best_token_after_the_last_of_the_context(models):
    """Checked against whole passes without padding, far beyond the context."""
    text = same(models, PROMPT, 25)
    assert text.shape == (3, 30) and text.dtype == np.int32
    assert len(np.unique(text[:, 5:])) > 5, "no test if it is always the same"
    expected = PROMPT
    for _ in range(25):
        logits = zoo.predict(models["torch"], expected[:, -12:])[:, -1]
        expected = np.concatenate([expected, logits.argmax(1)[:, None]], 1)
    assert np.array_equal(text, expected)


def test_drawn_texts_are_the_same_in_all_backends(models):
    kwargs = {"temperature": 0.8, "top_k": 20}
    text = same(models, PROMPT, 25, **kwargs, seed=7)
    assert np.array_equal(same(models, PROMPT[1], 25, **kwargs, seed=7)[:5], PROMPT[1])
    torch = models["torch"]
    other = generate(torch, PROMPT, 25, **kwargs, seed=8)
    assert (text[:, 5:] != other[:, 5:]).mean() > 0.5
    longer = generate(torch, PROMPT, 30, **kwargs, seed=7)
    assert np.array_equal(longer[:, :30], text), "more tokens change no earlier one"
    alone = generate(torch, PROMPT[0], 25, **kwargs, seed=7)
    assert alone.shape == (30,) and np.array_equal(alone, text[0])
    twice = generate(torch, PROMPT[[0, 0]], 25, **kwargs, seed=7)
    assert not np.array_equal(twice[0], twice[1]), "each row draws its own"


def test_one_of_the_best_is_greedy_and_so_is_no_temperature(models):
    greedy = generate(models["torch"], PROMPT, 15)
    for kwargs in ({"top_k": 1, "temperature": 1.0}, {"temperature": 1e-310}):
        assert np.array_equal(generate(models["torch"], PROMPT, 15, **kwargs), greedy)
    assert np.array_equal(generate(models["torch"], PROMPT, 0), PROMPT)


def test_of_equal_logits_the_lowest_id_wins(models):
    """Tokens 25 … 49 are copies of 0 … 24: half of all logits are ties."""
    kept = zoo.state(models["torch"])
    twins = np.concatenate([kept["wte.weight"][:25]] * 2)
    try:
        for model in models.values():
            zoo.load_state(model, {**kept, "wte.weight": twins})
        assert same(models, PROMPT % 25, 25).max() < 25
    finally:
        for model in models.values():
            zoo.load_state(model, kept)


@pytest.mark.parametrize("top_k", [None, 3])
def test_tokens_come_as_often_as_their_probability(top_k):
    z = np.array([0.5, -1.0, 2.0, 1.0, 2.0, -np.inf])
    share = np.exp(z / 0.7)
    share[[] if top_k is None else [0, 1]] = 0
    share /= share.sum()
    draws = _uniform(0, 0, 20_000)
    found = np.bincount([_choose(z, 0.7, top_k, u) for u in draws], minlength=6)
    assert (found[share == 0] == 0).all()
    spread = np.sqrt(20_000 * share * (1 - share))
    assert (abs(found - 20_000 * share) <= 4 * spread).all()


def test_the_ends_of_a_distribution_are_within_it():
    for z in (np.array([-np.inf, 0.0, -np.inf]), np.array([-np.inf, 1e-17, 1.0])):
        last = np.flatnonzero(np.isfinite(z))[-1]
        assert _choose(z, 1.0, None, 0.0) == 1
        assert _choose(z, 1.0, None, 1 - 2.0**-52) == last
    assert _choose(np.zeros(3), 1.0, 2, 1 - 2.0**-52) == 1  # of ties the lowest ids
    draws = _uniform(1, 2, 1000)
    assert 0 <= draws.min() < 0.01 and 0.99 < draws.max() < 1


def test_a_text_has_one_shape(models, monkeypatch):
    """Flax compiles anew for each."""
    backend = zoo.registry.get_backend("jax")
    shapes = []
    forward = backend.forward

    def watched(model, inputs):
        shapes.append(inputs[0].shape)
        return forward(model, inputs)

    monkeypatch.setattr(backend, "forward", watched)
    generate(models["jax"], PROMPT, 25)
    assert len(shapes) == 25 and set(shapes) == {(3, 12)}
    generate(models["jax"], PROMPT, 3)
    assert set(shapes) == {(3, 12), (3, 8)}, "no more than it needs"


def test_hugging_face_generates_the_same(monkeypatch):
    import torch

    # Not needed here, and the registry's build cannot be imported without CUDA.
    monkeypatch.setitem(sys.modules, "torchvision", None)
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    settings = GPT2Config(
        vocab_size=50,
        n_positions=40,
        n_embd=20,
        n_layer=2,
        n_head=2,
        initializer_range=0.4,
        bos_token_id=None,
        eos_token_id=None,
        attn_implementation="eager",
    )
    reference = GPT2LMHeadModel(settings).eval()
    ids = torch.from_numpy(PROMPT)
    mask = torch.ones_like(ids)
    expected = reference.generate(
        ids, attention_mask=mask, max_new_tokens=30, do_sample=False, pad_token_id=0
    ).numpy()
    model = zoo.build(CONFIG.override(context=40, d_ff=80))
    zoo.load_state(model, {k: v.numpy() for k, v in reference.state_dict().items()})
    assert len(np.unique(expected[:, 5:])) > 5
    assert np.array_equal(generate(model, PROMPT, 30), expected)


@pytest.mark.parametrize(
    "prompt, kwargs, error, words",
    [
        ([3, 50], {}, InputError, r"ids in \[0, 50\); got 3 to 50"),
        ([-1, 3], {}, InputError, r"got -1 to 3"),
        ([0.5], {}, InputError, r"got float64\(1,\)"),
        ([], {}, InputError, r"\(T,\) or \(N, T\)"),
        ("text", {}, InputError, "token ids"),
        ([3], {"length": -1}, ConfigError, "length must be"),
        ([3], {"temperature": -0.1}, ConfigError, "temperature must be"),
        ([3], {"temperature": math.nan}, ConfigError, "temperature must be"),
        ([3], {"top_k": 0}, ConfigError, "top_k must be"),
        ([3], {"seed": -1}, ConfigError, "seed must be"),
    ],
)
def test_refusals_are_one_line(models, prompt, kwargs, error, words):
    with pytest.raises(error, match=words) as caught:
        generate(models["torch"], prompt, **{"length": 3, **kwargs})
    assert "\n" not in str(caught.value)


def test_other_and_diverged_models_are_refused(models):
    with pytest.raises(InputError, match="causal language model"):
        generate(zoo.build("tiny_mlp"), [1], 3)
    broken = zoo.convert(models["torch"], "torch")
    broken.wte.weight.data[:] = math.nan
    with pytest.raises(InputError, match="not finite"):
        generate(broken, [1], 3)
