"""Fixes aiokafka's commit of offsets, which never ends for a topic that was deleted."""

from typing import Any

from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.errors import UnknownTopicOrPartitionError

_do_commit_offsets = GroupCoordinator._do_commit_offsets  # noqa: SLF001  # no public access


def leave_out_lost_topics() -> None:
    """Make a commit end where a topic is not there any more: there is nothing to commit.

    aiokafka takes that for a fault that passes and tries again each 100 ms, with a line for every
    partition. Faust's consumer does nothing else meanwhile, so it did not even see the topics
    come back; and then committed on the new topic how far the old one had been read.
    """
    GroupCoordinator._do_commit_offsets = _commit_what_is_there  # noqa: SLF001


async def _commit_what_is_there(
    coordinator: GroupCoordinator,
    assignment: Any,  # noqa: ANN401  # aiokafka has no types
    offsets: Any,  # noqa: ANN401
) -> None:
    try:
        await _do_commit_offsets(coordinator, assignment, offsets)
    except UnknownTopicOrPartitionError:
        # The other partitions of the request are committed.
        coordinator._client.force_metadata_update()  # noqa: SLF001
