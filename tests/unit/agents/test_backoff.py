"""How pauses grow."""

from agents.backoff import Backoff


def test_pauses_double_up_to_the_maximum_and_begin_again_after_a_reset() -> None:
    backoff = Backoff(0.2, maximum=1.0, jitter=0.0)
    assert [backoff.next() for _ in range(4)] == [0.2, 0.4, 0.8, 1.0]
    assert backoff.pauses == 4
    backoff.reset()
    assert (backoff.pauses, backoff.next()) == (0, 0.2)


def test_a_thousand_pauses_are_no_trouble() -> None:
    backoff = Backoff(0.1)
    assert all(0 < backoff.next() <= 5.0 for _ in range(2000))


def test_jitter_makes_a_pause_shorter_by_up_to_its_share() -> None:
    pauses = [Backoff(1.0, jitter=0.5).next() for _ in range(200)]
    assert 0.5 <= min(pauses) < 0.6
    assert 0.9 < max(pauses) <= 1.0
