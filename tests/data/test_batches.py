"""Batches, augmentation, and the views of them for other people's loops."""

import gc
import threading
import time

import numpy as np
import pytest

from zoo.configs.cnn import CNNConfig
from zoo.data import augment, from_arrays, load
from zoo.data.batches import Batches
from zoo.errors import ConfigError, InputError, UnknownNameError
from zoo.registry import config
from zoo.spec import recipe
from zoo.spec.batch import Batch
from zoo.spec.draws import order


def numbered(count=10):
    x = np.arange(count, dtype=np.float32)[:, None]
    return from_arrays(x, np.arange(count)).train


def seen(batches, steps):
    return [batches.batch(s).targets.tolist() for s in steps]


def epoch(batches, number):
    first = number * batches.steps_per_epoch
    steps = range(first, first + batches.steps_per_epoch)
    return [i for batch in seen(batches, steps) for i in batch]


def test_every_epoch_sees_each_example_once_in_another_order():
    batches = Batches(numbered(), 4, seed=1)
    assert batches.steps_per_epoch == 3
    epochs = [epoch(batches, number) for number in range(3)]
    assert all(sorted(found) == list(range(10)) for found in epochs)
    assert epochs[0] != epochs[1] != epochs[2] != epochs[0]
    assert [batches.batch(s).size for s in range(6)] == [4, 4, 2, 4, 4, 2]


def test_a_batch_is_a_function_of_seed_and_step_alone():
    forward = seen(Batches(numbered(), 4, seed=1), range(9))
    backward = seen(Batches(numbered(), 4, seed=1), reversed(range(9)))
    assert backward[::-1] == forward
    assert seen(Batches(numbered(), 4, seed=2), range(9)) != forward
    # Kept for ever: a resumed run must meet the order that it began with.
    assert forward[0] == [2, 0, 8, 9]


@pytest.mark.parametrize(
    "error, options",
    [
        (ConfigError, {"batch_size": 0}),
        (ConfigError, {"batch_size": 2.5}),
        (ConfigError, {"seed": -1}),
        (ConfigError, {"augment": "flip"}),
        (UnknownNameError, {"augment": ("flp",)}),
    ],
)
def test_what_gives_no_batches_is_refused(error, options):
    with pytest.raises(error) as caught:
        Batches(numbered(), **{"batch_size": 4, "seed": 0, **options})
    assert "\n" not in str(caught.value)


def test_empty_splits_and_steps_before_the_first_are_refused():
    with pytest.raises(InputError, match="0 examples"):
        Batches(from_arrays(np.ones((3, 1)), np.ones(3)).test, 4, seed=0)
    with pytest.raises(InputError, match="from 0"):
        Batches(numbered(), 4, seed=0).batch(-1)


# The stream and its thread


def workers():
    return {t for t in threading.enumerate() if t.name.startswith("zoo-batches")}


def no_more_than(before):
    for _ in range(200):
        if workers() <= before:
            return True
        time.sleep(0.01)
    return False


def test_a_stream_is_the_batches_from_any_step_on():
    batches = Batches(numbered(), 4, seed=1)
    found = [b.targets.tolist() for b in batches.stream(2, 9)]
    assert found == seen(batches, range(2, 9))
    assert list(batches.stream(3, 3)) == []


@pytest.mark.parametrize("leave", ["close", "forget", "break", "exhaust"])
def test_the_thread_ends_when_the_consumer_leaves(leave):
    before = workers()
    stream = Batches(numbered(), 4, seed=1).stream(0, 3 if leave == "exhaust" else None)
    next(stream)
    assert len(workers() - before) == 1
    if leave == "close":
        stream.close()
    elif leave == "break":
        for _ in stream:
            break
    elif leave == "exhaust":
        assert len(list(stream)) == 2
    del stream
    gc.collect()
    assert no_more_than(before)


class Broken:
    """Counts what is asked for; one example cannot be read."""

    asked = 0

    def __init__(self, broken=-1):
        self.broken = broken

    def __len__(self):
        return 100

    def take(self, indices):
        self.asked += 1
        if self.broken in indices:
            raise InputError("this example cannot be read")
        return Batch((indices,), indices)


def test_an_error_comes_where_its_batch_would_have_been():
    before = workers()
    ids = order(0, "epoch:0", 100)
    stream = Batches(Broken(ids[6]), 2, seed=0).stream()
    assert [next(stream).targets[0] for _ in range(3)] == ids[:6:2].tolist()
    with pytest.raises(InputError, match="this example"):
        next(stream)
    assert no_more_than(before)


def test_the_thread_does_not_run_far_ahead():
    split = Broken()
    stream = Batches(split, 2, seed=0).stream(10)
    next(stream)
    time.sleep(0.1)
    assert split.asked <= 4
    stream.close()


# Augmentation


def images(count=40, size=16, channels=2):
    y, x = np.mgrid[:size, :size] / size
    one = np.stack([np.sin(6 * x + y), np.cos(4 * y - x)][:channels], -1)
    return np.repeat(one[None], count, 0).astype(np.float32) + 2


def changed(x, *names, seed=0, step=0, targets=None):
    targets = np.zeros(len(x), np.int32) if targets is None else targets
    return augment.augment(Batch((x,), targets), names, seed, step)


def test_the_names_are_the_recipes():
    assert tuple(augment.AUGMENTATIONS) == recipe.AUGMENTATIONS


def test_flip_turns_some_images_round():
    x = images()
    [y], _ = changed(x, "flip")
    flipped = (y == x[:, :, ::-1]).all((1, 2, 3))
    assert 5 < flipped.sum() < 35
    assert np.array_equal(y[~flipped], x[~flipped])


def test_crop_moves_an_image_by_an_eighth_at_most():
    x = np.zeros((200, 16, 24, 1), np.float32)
    x[:, 8, 12] = 1
    [y], _ = changed(x, "crop")
    _, rows, columns, _ = np.nonzero(y)
    assert set(rows) == set(range(6, 11))
    assert set(columns) == set(range(9, 16))
    assert not changed(np.ones_like(x), "crop").inputs[0].all()  # zeros from outside


def rotated(x, degrees):
    """The same rotation, spelled out pixel by pixel."""
    size, angle = x.shape[0], np.deg2rad(degrees)
    out, middle = np.zeros_like(x), (size - 1) / 2
    for i in range(size):
        for j in range(size):
            a, b = i - middle, j - middle
            r = np.cos(angle) * a - np.sin(angle) * b + middle
            c = np.sin(angle) * a + np.cos(angle) * b + middle
            for p in (int(np.floor(r)), int(np.floor(r)) + 1):
                for q in (int(np.floor(c)), int(np.floor(c)) + 1):
                    if 0 <= p < size and 0 <= q < size:
                        out[i, j] += (1 - abs(r - p)) * (1 - abs(c - q)) * x[p, q]
    return out


def test_rotate_is_bilinear_and_small(monkeypatch):
    x = images(3, 9)
    turns = np.array([-1.0, 0.0, 0.7], np.float32)
    drawn = lambda seed, name, shape: turns.reshape(shape)  # noqa: E731
    monkeypatch.setattr(augment, "uniform", drawn)
    [y], _ = changed(x, "rotate")
    assert np.array_equal(y[1], x[1])
    for found, old, turn in zip(y, x, turns):
        assert np.abs(found - rotated(old, 10 * turn)).max() < 1e-5


@pytest.mark.parametrize("ids", [False, True])
def test_masks_move_with_their_images(ids):
    x = np.zeros((30, 32, 32, 3), np.float32)
    x[:, 6:14, 10:20] = 1
    mask = x[..., :1]
    [y], t = changed(
        x, "rotate", "flip", "crop", targets=mask[..., 0].astype(int) if ids else mask
    )
    assert set(np.unique(t)) == {0, 1}
    inside = (t if ids else t[..., 0]) == 1
    assert y[inside].mean() > 0.93
    assert y[~inside].mean() < 0.01
    assert (t.reshape(30, -1) != mask.reshape(30, -1)).any(1).all()


def test_augmentation_depends_on_seed_and_step_and_leaves_the_data_alone():
    x = images()
    kept = x.copy()
    every = tuple(augment.AUGMENTATIONS)
    [first], _ = changed(x, *every)
    assert np.array_equal(changed(x, *reversed(every)).inputs[0], first)
    assert not np.array_equal(changed(x, *every, step=1).inputs[0], first)
    assert not np.array_equal(changed(x, *every, seed=1).inputs[0], first)
    assert np.array_equal(x, kept)
    assert first.dtype == np.float32
    data = from_arrays(x, np.arange(40)).train
    batch = Batches(data, 8, seed=3, augment=("crop",)).batch(7)
    plain = Batches(data, 8, seed=3).batch(7)
    wanted = augment.augment(plain, ("crop",), 3, 7)
    assert np.array_equal(batch.inputs[0], wanted.inputs[0])


def test_only_images_are_augmented():
    with pytest.raises(InputError, match="only images"):
        Batches(numbered(), 4, seed=0, augment=("flip",)).batch(0)


# Views


@pytest.mark.parametrize("backend", ["torch", "tf", "jax"])
@pytest.mark.parametrize("name", ["cnn", "unet_bn", "gpt"])
def test_a_view_has_the_order_and_the_values_of_the_batches(backend, name):
    from importlib import import_module

    what = {"cnn": "digits", "unet_bn": "digit_scenes", "gpt": "text"}[name]
    fitted = config(name, **({"vocabulary": 200} if name == "gpt" else {}))
    batches = Batches(load(what, fitted).train, 700, seed=5)
    view = import_module(f"zoo.{backend}._data").loader(batches, epoch=2)
    first, count = 2 * batches.steps_per_epoch, 0
    for _ in range(2 if backend == "jax" else 1):  # and once more
        for step, (x, y) in enumerate(view, first):
            inputs, targets = batches.batch(step)
            x, y = np.asarray(x), np.asarray(y)
            if backend == "torch":
                x, y = (a.transpose(0, 2, 3, 1) if a.ndim == 4 else a for a in (x, y))
            for found, wanted in ((x, inputs[0]), (y, targets)):
                ids = np.int64 if backend == "torch" else np.int32
                assert found.dtype == (ids if wanted.dtype == np.int32 else np.float32)
                assert np.array_equal(found, wanted)
            count += 1
    assert len(view) == batches.steps_per_epoch
    assert count == (2 if backend == "jax" else 1) * len(view)


@pytest.mark.parametrize("backend", ["torch", "tf", "jax"])
def test_a_view_of_several_inputs_gives_a_tuple(backend):
    from importlib import import_module

    x = np.arange(12, dtype=np.float32).reshape(6, 2)
    data = from_arrays((x, x[:, 0] > 3), np.arange(6))
    view = import_module(f"zoo.{backend}._data").loader(Batches(data.train, 4, seed=0))
    for (a, mask), _ in view:
        assert np.array_equal(np.asarray(a)[:, 0] > 3, np.asarray(mask))


def test_batches_are_quick_enough():
    batches = Batches(load("digits", CNNConfig()).train, 64, seed=0)
    batches.batch(0)
    begin = time.perf_counter()
    for step in range(220):
        batches.batch(step % 22)
    assert (time.perf_counter() - begin) / 220 < 3e-3  # in fact some 0.03 ms
