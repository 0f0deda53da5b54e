"""How far the topics have been read."""

from typing import Final

PROGRESS: Final = """
select partition, next_offset from consumer_progress where consumer_group = $1 and topic = $2
"""

#: Not deleted: 0 is below whatever Kafka says that the group has read.
FORGET_PROGRESS: Final = """
update consumer_progress set next_offset = 0, updated_at = now()
where consumer_group = $1 and topic = $2
"""

#: Backwards, too: the newest is what was read last, and progress never becomes untrue.
KEEP_PROGRESS: Final = """
insert into consumer_progress (consumer_group, topic, partition, next_offset)
select consumer_group, topic, partition, next_offset
from unnest($1::text[], $2::text[], $3::integer[], $4::bigint[])
    as reached (consumer_group, topic, partition, next_offset)
order by consumer_group, topic, partition
on conflict (consumer_group, topic, partition) do update
set next_offset = excluded.next_offset, updated_at = now()
"""
