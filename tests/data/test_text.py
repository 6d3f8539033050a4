"""The embedded text: windows, the alphabet, and the entropy of its bigrams."""

import numpy as np
import pytest

from tests.data.loading import everything, loaded
from zoo.configs.attention import GPTConfig
from zoo.configs.rnn import RecurrentNetConfig
from zoo.data import text
from zoo.errors import InputError


def test_text_windows_and_their_next_characters():
    config = GPTConfig(context=40, length=20)
    found = loaded("text", config)
    whole = text.text()
    x, y = everything(found.test)[0][0], everything(found.test).targets
    assert x.shape == y.shape == (len(found.test), 40)
    assert np.array_equal(x.reshape(-1), whole.test[: x.size])
    assert np.array_equal(y.reshape(-1), whole.test[1 : x.size + 1])
    batch = found.train.take(np.arange(20))
    assert np.array_equal(batch.inputs[0][:, 1:], batch.targets[:, :-1])
    train = whole.alphabet.decode(whole.train)
    assert all(whole.alphabet.decode(row) in train for row in batch.inputs[0])
    other = loaded("text", config, seed=1).train.take(np.arange(20))
    assert not np.array_equal(other.inputs[0], batch.inputs[0])
    assert len(found.notes["sha256"]) == 64
    recurrent = loaded("text", RecurrentNetConfig(vocabulary=9, length=12)).test
    assert recurrent.take(np.arange(2)).targets.shape == (2, 12)


def test_the_alphabet_goes_there_and_back():
    alphabet = text.Alphabet("\nabc")
    assert alphabet.encode("cab\n").tolist() == [3, 1, 2, 0]
    assert alphabet.decode(np.array([3, 1, 2, 0])) == "cab\n"
    with pytest.raises(InputError, match="'z'"):
        alphabet.encode("az")
    with pytest.raises(InputError, match="got -1"):
        alphabet.decode([-1])


def test_bigram_entropy_by_hand():
    train, test = np.array([0, 1, 0, 1, 1, 2]), np.array([0, 1, 2, 2])
    # after 0: 1 twice; after 1: 0, 1 and 2 once each; after 2: nothing
    wanted = -np.log([(2 + 1) / (2 + 3), (1 + 1) / (3 + 3), 1 / 3]).mean()
    assert text.bigram_entropy(train, test, 3) == pytest.approx(wanted)
    found = loaded("text", GPTConfig()).notes["bigram_entropy"]
    assert 2 < found < 3
