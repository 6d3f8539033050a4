"""A file is written whole, or not at all."""

import pytest

import zoo
from zoo.errors import FileError
from zoo.files.atomic import atomically, write_text


def test_an_atomic_write_leaves_the_old_file_when_it_fails(file, monkeypatch):
    before = file.read_bytes()

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("safetensors.numpy.save_file", full)
    with pytest.raises(FileError, match="No space left"):
        zoo.save(zoo.build("tiny_mlp"), file)
    assert file.read_bytes() == before
    assert [p.name for p in file.parent.iterdir()] == [file.name]


def test_the_new_file_takes_the_place_of_the_old_one(tmp_path):
    path = tmp_path / "notes.txt"
    for text in ("first", "zweiter – 2×"):
        write_text(path, text)
        assert path.read_bytes() == text.encode()
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]


def test_it_is_written_beside_its_place_with_the_same_suffix(tmp_path):
    seen = []

    def write(temporary):
        seen.append(temporary)
        temporary.write_bytes(b"x")

    atomically(tmp_path / "model.npz", write)
    assert seen[0].parent == tmp_path
    assert seen[0].suffix == ".npz"
    assert seen[0].name.startswith(".model.npz.")


def test_an_error_of_the_writer_leaves_nothing(tmp_path):
    def write(temporary):
        temporary.write_text("half")
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        atomically(tmp_path / "x.txt", write)
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_does_not_exist_is_told(tmp_path):
    with pytest.raises(FileError, match=r"cannot write .*x\.txt: No such file"):
        write_text(tmp_path / "none" / "x.txt", "text")


def test_it_may_be_read_as_any_new_file(tmp_path):
    write_text(tmp_path / "a", "")
    (tmp_path / "b").touch()
    modes = [(tmp_path / name).stat().st_mode for name in "ab"]
    assert modes[0] == modes[1]
