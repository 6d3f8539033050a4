"""The same cells on a Ray cluster that loses a machine."""

import threading
import time

import pytest
import ray

from zoo.study import driver, plan
from zoo.study.plan import Entry, Plan
from zoo.study.ray_engine import RayEngine

pytestmark = pytest.mark.slow
COLUMNS = plan.columns(["torch", "jax"])


@pytest.fixture
def cluster():
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    yield cluster
    ray.shutdown()
    cluster.shutdown()


def test_a_study_survives_the_loss_of_a_machine(cluster, tmp_path):
    nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
    engine = RayEngine(cluster.address, threads=1)
    assert engine.lanes == 2  # the head has no CPU to give
    entries = (Entry("xor_mlp"), Entry("perceptron"))
    study_plan = Plan(
        entries=entries, columns=COLUMNS, batch_sizes=(2,), rounds=5, seconds=0.1,
        threads=1,
    )  # fmt: skip
    texts = []

    def progress(done, total, text):
        texts.append(text)

    def strike():
        while not any("round" in text for text in texts):
            time.sleep(0.05)
        cluster.remove_node(nodes[0], allow_graceful=False)

    striking = threading.Thread(target=strike, daemon=True)
    striking.start()
    study = driver.compare(study_plan, tmp_path, engine=engine, progress=progress)
    striking.join()
    engine.close()
    heads = [r for r in study.rows if r["row"] == "cell"]
    assert len(heads) == 4
    assert all(r["status"] == "ok" and r["parity"]["ok"] for r in heads)
    assert len(study.rows) == 4 + 4 * 2
    assert any("has left the Ray cluster" in text for text in texts)
