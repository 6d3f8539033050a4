"""A study for the terminal."""

from tests.study.fakes import Cells, compare
from zoo.study import terminal
from zoo.study.engine import Failed, Lost
from zoo.study.results import Study


def test_a_good_study_has_no_problems_and_a_table_for_its_network(tmp_path):
    study = compare(tmp_path, Cells())
    assert terminal.problems(study) == []
    [table] = terminal.tables(study)
    assert "tiny_mlp" in str(table.title)


def test_each_problem_is_a_line_and_what_follows_from_one_is_none(tmp_path):
    lost = Lost("killed, as the system does where memory runs out")
    faults = [("tf", "first", 8, lost), ("tf", "first", 8, lost)]
    faults.append(("jax", "build", None, Failed("RuntimeError: no")))
    study = compare(tmp_path, Cells(faults), batch_sizes=(1, 8, 64))
    lines = terminal.problems(study)
    assert "tiny_mlp in Flax, jit: RuntimeError: no" in lines
    [large] = [line for line in lines if "Keras" in line]
    assert large.startswith("tiny_mlp in Keras, tf.function, inference with batch 8: ")


def test_a_training_run_is_named():
    row = {"preset": "cnn", "backend": "torch", "mode": "eager", "error": "diverged"}
    study = Study({}, [{"row": "training", "status": "failed", **row}], "s")
    assert terminal.problems(study) == ["cnn in PyTorch, training: diverged"]
    assert list(terminal.tables(study)) == []
