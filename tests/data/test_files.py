"""MNIST and CIFAR-10, from tiny files made in their formats."""

import gzip
import pickle
import struct

import numpy as np
import pytest

from tests.data.loading import everything, loaded, one_line
from zoo import data as datasets
from zoo.configs.cnn import CNNConfig
from zoo.configs.mlp import MLPConfig
from zoo.configs.rnn import RecurrentNetConfig
from zoo.data import shapes
from zoo.errors import ConfigError, FileError

# MNIST


def idx(array):
    head = struct.pack(f">I{array.ndim}I", 0x800 + array.ndim, *array.shape)
    return head + array.tobytes()


def digits_like(count, seed):
    random = np.random.default_rng(seed)
    pictures = random.integers(0, 256, (count, 28, 28), np.uint8)
    return pictures, np.arange(count, dtype=np.uint8) % 10


NAMES = {"train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
         "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")}  # fmt: skip


@pytest.fixture
def mnist(tmp_path):
    for side, names in NAMES.items():
        for name, array in zip(names, digits_like(12 if side == "train" else 5, 1)):
            content = idx(array)
            if side == "test":
                name, content = f"{name}.gz", gzip.compress(content)
            (tmp_path / name).write_bytes(content)
    return tmp_path


def same_as_mnist(found):
    pictures, labels = digits_like(12, 1)
    batch = everything(found.train)
    assert np.allclose(batch.inputs[0][..., 0], pictures / np.float32(255))
    assert np.array_equal(batch.targets, labels)
    assert len(found.test) == 5


def test_mnist_plain_and_gzipped(mnist):
    found = loaded("mnist", CNNConfig(), path=mnist)
    same_as_mnist(found)
    assert found.notes["source"] == str(mnist)


def test_mnist_where_torchvision_and_keras_keep_it(mnist, tmp_path, monkeypatch):
    home = tmp_path / "elsewhere"
    home.mkdir()
    monkeypatch.chdir(home)
    monkeypatch.setenv("KERAS_HOME", str(home / "keras"))
    monkeypatch.setenv("HOME", str(home))
    with pytest.raises(FileError) as caught:
        loaded("mnist", CNNConfig())
    one_line(caught, "path", str(home / "keras"))
    cache = home / "keras" / "datasets" / "mnist.npz"
    cache.parent.mkdir(parents=True)
    (x, y), (u, v) = digits_like(12, 1), digits_like(5, 1)
    np.savez(cache, x_train=x, y_train=y, x_test=u, y_test=v)
    same_as_mnist(loaded("mnist", CNNConfig()))
    same_as_mnist(loaded("mnist", CNNConfig(), path=cache))
    cache.write_bytes(cache.read_bytes()[:3000])
    with pytest.raises(FileError) as caught:
        loaded("mnist", CNNConfig())
    one_line(caught, str(cache), "fetch it again")
    raw = home / "data" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for file in mnist.iterdir():
        if file.is_file():
            file.rename(raw / file.name)
    same_as_mnist(loaded("mnist", CNNConfig()))
    same_as_mnist(loaded("mnist", CNNConfig(), path=home / "data"))


def test_mnist_in_other_forms(mnist):
    pictures, _ = digits_like(12, 1)
    rows = loaded("mnist", RecurrentNetConfig(in_features=8, length=8), path=mnist)
    assert np.allclose(everything(rows.train).inputs[0], pictures / 255)
    flat = loaded("mnist", MLPConfig(), path=mnist)
    assert np.allclose(everything(flat.train).inputs[0], pictures.reshape(12, -1) / 255)
    with pytest.raises(ConfigError, match="in_features=784"):
        everything(datasets.load("mnist", MLPConfig(in_features=9), path=mnist).train)


def damage(kind, path):
    content = path.read_bytes()
    huge = content[:4] + struct.pack(">I", 2**32 - 1) + content[8:]
    path.write_bytes(
        {
            "empty": b"",
            "truncated": content[:-100],
            "longer": content + b"x",
            "no magic": b"\1" + content[1:],
            "huge": huge,
            "no gzip": b"\x1f\x8b" + content[2:],
            "cut gzip": gzip.compress(content)[:-20],
            "huge gzip": gzip.compress(huge),
        }[kind]
    )


@pytest.mark.parametrize(
    "kind",
    ("empty", "truncated", "longer", "no magic", "huge", "no gzip", "cut gzip",
     "huge gzip"),
)  # fmt: skip
def test_damaged_idx_files_are_told_in_one_line(mnist, kind):
    damage(kind, mnist / NAMES["train"][0])
    with pytest.raises(FileError) as caught:
        loaded("mnist", CNNConfig(), path=mnist)
    one_line(caught, NAMES["train"][0], "fetch it again")


def test_mnist_files_that_do_not_belong_together(mnist):
    labels = mnist / NAMES["train"][1]
    labels.write_bytes(idx(np.arange(11, dtype=np.uint8) % 10))
    with pytest.raises(FileError, match="12 pictures for 11 labels"):
        loaded("mnist", CNNConfig(), path=mnist)
    labels.write_bytes(idx(np.arange(12, dtype=np.uint8)))
    with pytest.raises(FileError, match="labels from 0 to 11"):
        loaded("mnist", CNNConfig(), path=mnist)
    labels.unlink()
    with pytest.raises(FileError, match=r"no such file.*train-labels"):
        loaded("mnist", CNNConfig(), path=mnist)


# CIFAR-10


def cifar_batch(seed, count=4):
    random = np.random.default_rng(seed)
    return random.integers(0, 256, (count, 3072), np.uint8), list(range(count))


def python_2(pictures, labels):
    """A batch as Python 2 pickled it: protocol 2, bytes as its own strings."""

    def short(word):
        return b"U" + bytes([len(word)]) + word

    def whole(number):
        return b"J" + struct.pack("<i", number)

    raw = pictures.tobytes()
    return b"".join(
        (
            b"\x80\x02}(", short(b"batch_label"), short(b"training batch 1 of 5"),
            short(b"labels"), b"](", *map(whole, labels), b"e",
            short(b"data"), b"cnumpy.core.multiarray\n_reconstruct\n",
            b"cnumpy\nndarray\n", b"K\x00\x85", short(b"b"), b"\x87R",
            b"(K\x01", whole(len(pictures)), whole(3072), b"\x86",
            b"cnumpy\ndtype\n", short(b"u1"), b"K\x00K\x01\x87R",
            b"(K\x03", short(b"|"), b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb",
            b"\x89T", struct.pack("<i", len(raw)), raw, b"tbu.",
        )
    )  # fmt: skip


def binary(pictures, labels):
    rows = np.concatenate([np.array(labels, np.uint8)[:, None], pictures], 1)
    return rows.tobytes()


def modern(pictures, labels):
    return pickle.dumps({"data": pictures, "labels": labels}, protocol=4)


def write_cifar(folder, form):
    folder.mkdir(parents=True)
    names = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]
    for seed, name in enumerate(names):
        name += ".bin" if form is binary else ""
        (folder / name).write_bytes(form(*cifar_batch(seed)))
    return folder


@pytest.mark.parametrize("form", [python_2, modern, binary])
def test_cifar_in_each_of_its_forms(form, tmp_path):
    folder = write_cifar(tmp_path / "cifar-10-batches-py", form)
    for path in (folder, tmp_path):
        found = loaded("cifar10", CNNConfig(), path=path)
        assert (len(found.train), len(found.test)) == (20, 4)
        batch = found.train.take(np.arange(4, 8))
        planes = cifar_batch(1)[0].reshape(4, 3, 32, 32)
        wanted = shapes.normalise(planes.transpose(0, 2, 3, 1) / np.float32(255))
        assert np.allclose(batch.inputs[0], wanted, atol=1e-6)
        assert batch.targets.tolist() == [0, 1, 2, 3]
    assert found.classes[3] == "cat"


def test_cifar_where_keras_keeps_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    name = "cifar-10-batches-py"
    write_cifar(tmp_path / "datasets" / f"{name}-target" / name, python_2)
    assert len(loaded("cifar10", CNNConfig()).train) == 20


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_pickles_run_nothing(tmp_path):
    folder = write_cifar(tmp_path / "cifar", python_2)
    victim = tmp_path / "victim"
    evil = pickle.dumps({"data": Evil(victim), "labels": [0]}, protocol=2)
    (folder / "data_batch_2").write_bytes(evil)
    with pytest.raises(FileError) as caught:
        loaded("cifar10", CNNConfig(), path=folder)
    one_line(caught, "data_batch_2", "open")
    assert not victim.exists()
    # numpy's own functions do not run either
    save = b"\x80\x02}(U\x04datacnumpy\nsave\nU\x01x\x85Ru."
    (folder / "data_batch_2").write_bytes(save)
    with pytest.raises(FileError, match=r"numpy\.save"):
        loaded("cifar10", CNNConfig(), path=folder)


def shape_lies(content):
    return content.replace(struct.pack("<i", 3072), struct.pack("<i", 3073))


@pytest.mark.parametrize(
    "form, spoil",
    [
        (python_2, lambda content: content[:-500]),
        (python_2, lambda content: b""),
        (python_2, shape_lies),
        (python_2, lambda content: content.replace(b"u1", b"O8")),
        (python_2, lambda content: pickle.dumps([1, 2])),
        (python_2, lambda content: pickle.dumps({"data": 3, "labels": [1]})),
        (binary, lambda content: content[:-1]),
        (binary, lambda content: b""),
        (binary, lambda content: b"\x0a" + content[1:]),
    ],
)
def test_damaged_cifar_files_are_told_in_one_line(form, spoil, tmp_path):
    folder = write_cifar(tmp_path / "cifar", form)
    [path] = folder.glob("data_batch_3*")
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(FileError) as caught:
        loaded("cifar10", CNNConfig(), path=folder)
    one_line(caught, str(path), "fetch it again")
    path.unlink()
    with pytest.raises(FileError, match="no such file"):
        loaded("cifar10", CNNConfig(), path=folder)
