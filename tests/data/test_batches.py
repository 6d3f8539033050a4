"""Batches: their order, the stream of them, and its thread."""

import gc
import threading
import time

import numpy as np
import pytest

from tests.data.loading import numbered
from zoo.configs.cnn import CNNConfig
from zoo.data import from_arrays, load
from zoo.data.batches import Batches
from zoo.errors import ConfigError, InputError, UnknownNameError
from zoo.spec.batch import Batch
from zoo.spec.draws import order


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


def test_batches_are_quick_enough():
    batches = Batches(load("digits", CNNConfig()).train, 64, seed=0)
    batches.batch(0)
    begin = time.perf_counter()
    for step in range(220):
        batches.batch(step % 22)
    assert (time.perf_counter() - begin) / 220 < 3e-3  # in fact some 0.03 ms
