"""Folders of pictures, and HF sets from a stand-in."""

import sys
import types

import numpy as np
import pytest

from tests.data.loading import everything, loaded, one_line
from zoo import data as datasets
from zoo.configs.cnn import CNNConfig
from zoo.configs.resnet import ResNetConfig
from zoo.configs.rnn import RecurrentNetConfig
from zoo.data import shapes
from zoo.errors import ConfigError, FileError, InputError, MissingPackageError

# Folders of pictures


def write_pictures(root, classes, count, size=(40, 30)):
    from PIL import Image

    for number, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for i in range(count):
            grey = 40 * number + i
            Image.new("RGB", size, (grey, grey, grey)).save(root / name / f"{i}.png")


def test_a_folder_without_sides_is_split(tmp_path):
    write_pictures(tmp_path, ["ant", "bee", "cat"], 10)
    (tmp_path / "ant" / "notes.txt").write_text("not a picture")
    (tmp_path / ".hidden").mkdir()
    name = f"folder:{tmp_path}"
    found = loaded(name, CNNConfig())
    assert (len(found.train), len(found.test)) == (24, 6)
    assert found.classes == ("ant", "bee", "cat")
    x, t = everything(found.train)[0][0], everything(found.train).targets
    assert x.shape == (24, 28, 28, 1)
    assert np.bincount(t).tolist() == [8, 8, 8]
    assert np.array_equal(np.rint(x[:, 5, 5, 0] * 255) // 40, t)
    colour = loaded(name, ResNetConfig(image_size=20)).test.take(np.arange(2))
    assert colour.inputs[0].shape == (2, 20, 20, 3)


def test_a_folder_with_sides_keeps_them(tmp_path):
    write_pictures(tmp_path / "train", ["no", "yes"], 6)
    write_pictures(tmp_path / "val", ["yes"], 3)
    found = loaded(f"folder:{tmp_path}", CNNConfig(num_classes=1))
    assert (len(found.train), len(found.test)) == (12, 3)
    assert everything(found.test).targets.tolist() == [[1], [1], [1]]
    (tmp_path / "val" / "perhaps").mkdir()
    (tmp_path / "val" / "yes" / "0.png").rename(tmp_path / "val" / "perhaps" / "0.png")
    with pytest.raises(FileError, match="'perhaps'"):
        loaded(f"folder:{tmp_path}", CNNConfig())


def test_pictures_are_fitted_by_the_short_side_and_cut_in_the_middle(tmp_path):
    from PIL import Image

    wide = np.random.default_rng(0).integers(0, 256, (30, 60, 3), np.uint8)
    Image.fromarray(wide).save(tmp_path / "x.png")
    config = ResNetConfig(image_size=10)
    [x] = datasets.picture(tmp_path / "x.png", "folder:gone", config)
    low = Image.fromarray(wide).resize((20, 10), Image.Resampling.BILINEAR)
    wanted = np.asarray(low, np.float32)[None, :, 5:15] / 255
    assert np.abs(x - shapes.normalise(wanted)).max() < 1.01 / 255 / 0.224


def test_damaged_pictures_and_folders_are_told_in_one_line(tmp_path):
    with pytest.raises(FileError, match="no such folder"):
        datasets.overrides(f"folder:{tmp_path}/none", CNNConfig())
    write_pictures(tmp_path, ["one"], 2)
    with pytest.raises(FileError, match="two or more"):
        datasets.overrides(f"folder:{tmp_path}", CNNConfig())
    write_pictures(tmp_path, ["two"], 5)
    damaged = tmp_path / "two" / "3.png"
    damaged.write_bytes(damaged.read_bytes()[:50])
    found = loaded(f"folder:{tmp_path}", CNNConfig())
    with pytest.raises(FileError) as caught:
        everything(found.train), everything(found.test)
    one_line(caught, str(damaged), "mend or remove")
    with pytest.raises(FileError, match="no such file"):
        datasets.picture(tmp_path / "none.png", "digits", CNNConfig())
    with pytest.raises(ConfigError, match="takes images"):
        datasets.overrides(f"folder:{tmp_path}", RecurrentNetConfig(vocabulary=9))


# HF datasets: a stand-in with the few names that the zoo asks of it


class Image:
    pass


class ClassLabel:
    names = ("cat", "dog")


class Side(list):
    features = {"image": Image(), "label": ClassLabel()}

    def __getitem__(self, key):
        column = isinstance(key, str)
        return [row[key] for row in self] if column else list.__getitem__(self, key)


@pytest.fixture
def stand_in(monkeypatch):
    from PIL import Image as Pillow

    def rows(count):
        pictures = (Pillow.new("RGB", (9, 9), (i, i, i)) for i in range(count))
        return Side({"image": p, "label": i % 2} for i, p in enumerate(pictures))

    known = {
        "a/pets": {"train": rows(20)},
        "b/pets": {"train": rows(6), "test": rows(2)},
    }

    def load_dataset(name):
        if name not in known:
            raise FileNotFoundError(f"Dataset '{name}' doesn't exist\non the hub")
        return known[name]

    module = types.SimpleNamespace(load_dataset=load_dataset)
    monkeypatch.setitem(sys.modules, "datasets", module)
    return known


def test_hf_sets_with_and_without_a_test_side(stand_in):
    found = loaded("hf:a/pets", CNNConfig())
    assert (len(found.train), len(found.test)) == (16, 4)
    assert found.classes == ("cat", "dog")
    batch = everything(found.train)
    grey = np.rint(batch.inputs[0][:, 3, 3, 0] * 255).astype(int)
    assert np.array_equal(grey % 2, batch.targets)
    found = loaded("hf:b/pets", ResNetConfig(image_size=20))
    assert (len(found.train), len(found.test)) == (6, 2)
    assert everything(found.test).inputs[0].shape == (2, 20, 20, 3)


def test_hf_sets_that_cannot_be_used(stand_in, monkeypatch):
    with pytest.raises(FileError) as caught:
        datasets.overrides("hf:c/pets", CNNConfig())
    one_line(caught, "hf:c/pets", "doesn't exist")
    stand_in["c/pets"] = {"validation": []}
    with pytest.raises(InputError, match="no split 'train'"):
        datasets.overrides("hf:c/pets", CNNConfig())
    monkeypatch.setattr(Side, "features", {"text": object()})
    with pytest.raises(InputError, match="it has text"):
        datasets.overrides("hf:a/pets", CNNConfig())


def test_missing_libraries_are_told_with_the_way_out(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingPackageError) as caught:
        datasets.overrides("hf:a/pets", CNNConfig())
    one_line(caught, "pip install '.[hf]'")
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(MissingPackageError) as caught:
        datasets.picture(tmp_path / "x.png", "digits", CNNConfig())
    one_line(caught, "pip install '.[data]'")
