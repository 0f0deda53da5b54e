"""What connections hold is counted, and the slowest are cut off beyond the limit."""

import asyncio

from web.held import HeldBytes


class Wire(asyncio.Transport):
    """A connection that can be cut off, and nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self.is_cut = False

    def abort(self) -> None:
        self.is_cut = True

    def is_closing(self) -> bool:
        return self.is_cut


def test_the_slowest_is_cut_off_beyond_the_limit() -> None:
    held, wires = HeldBytes(20), [Wire() for _ in range(3)]
    for wire in (*wires[:2], wires[0], wires[2]):
        held.moved(wire, 8)
    assert [wire.is_cut for wire in wires] == [False, True, False]
    assert held.total == 16


def test_one_that_was_cut_off_does_not_count_again() -> None:
    held, wires = HeldBytes(20), [Wire() for _ in range(3)]
    for wire in (*wires, wires[0]):
        held.moved(wire, 8)
    assert [wire.is_cut for wire in wires] == [True, False, False]
    assert held.total == 16


def test_what_is_released_does_not_count() -> None:
    held, wires = HeldBytes(20), [Wire() for _ in range(3)]
    held.moved(wires[0], 8)
    held.release(wires[0])
    for wire in wires[1:]:
        held.moved(wire, 8)
    assert held.total == 16
    assert not any(wire.is_cut for wire in wires)
