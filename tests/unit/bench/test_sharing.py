"""What is said of workers that share a database."""

from bench.sharing import Shared


def test_looks_become_averages_and_the_most() -> None:
    shared = Shared(looks=4, most_connections=7)
    shared.doing.update({"cpu": 6, "lock": 2})
    shared.shards[0] += [16, 8, 8, 0]
    shared.shards[1] += [0, 8, 8, 16]
    assert shared.figures() == {
        "most_connections": 7,
        "cpu_connections": 1.5,
        "lock_connections": 0.5,
        "shards_of_0": 8,
        "shards_of_1": 8,
    }


def test_no_look_is_no_fault() -> None:
    assert Shared().figures() == {"most_connections": 0}
