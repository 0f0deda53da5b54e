"""The workers that run now."""

from typing import Final

_WORKER: Final = "worker, url, partitions, version, role, started_at"

#: Rows are locked before their deletion: two workers that delete the same rows do not wait.
ANNOUNCE: Final = f"""
with forgotten as (
    delete from workers where worker in (
        select worker from workers
        where worker <> $1 and seen_at < now() - make_interval(secs => $7)
        for update skip locked)
), announced as (
    insert into workers ({_WORKER}) values ($1, $2, $3, $4, $5, $6)
    on conflict (worker) do update set url = excluded.url, partitions = excluded.partitions,
        version = excluded.version, role = excluded.role, started_at = excluded.started_at,
        seen_at = now()
)
select {_WORKER} from workers
where worker <> $1 and seen_at >= now() - make_interval(secs => $7)
order by worker collate "C"
"""

KNOWN_WORKERS: Final = f"""
select {_WORKER} from workers
where seen_at >= now() - make_interval(secs => $1)
order by worker collate "C"
"""

WITHDRAW: Final = "delete from workers where worker = $1 and started_at = $2"
