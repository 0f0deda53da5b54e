"""The partitions of the remembered changes."""

from typing import Final

from store.postgres.advisory import AdvisoryLock

#: The weeks of the changes and of the feed that have a partition, and whether this account may make
#: more.
CHANGES_PARTITIONS: Final = r"""
select now() as now,
    array(
        select relname::text from pg_inherits join pg_class on pg_class.oid = inhrelid
        where inhparent in ('changes'::regclass, 'feed'::regclass)
            and relname ~ '^(changes|feed)_\d{8}$'
    ) as names,
    (
        select bool_and(pg_has_role(relowner, 'usage')
            and has_schema_privilege(relnamespace, 'create'))
        from pg_class where oid in ('changes'::regclass, 'feed'::regclass)
    ) as allowed
"""

#: One process at a time, and none while changes are numbered: that reads all weeks. Who waits for a
#: lock on a table keeps everybody else waiting, so not long.
LOCK_PARTITIONS: Final = f"""
select pg_try_advisory_xact_lock({AdvisoryLock.PARTITIONS})
    and pg_try_advisory_xact_lock({AdvisoryLock.FEED})
    and set_config('lock_timeout', '500ms', true) is not null
"""

#: Attached, not created as a partition: that would wait for everybody who writes or reads changes.
MAKE_PARTITION: Final = """
create table {name}
    (like {table} including defaults including constraints including indexes);
alter table {table} attach partition {name} for values from ('{begin}') to ('{end}')
"""

DROP_PARTITION: Final = "drop table {name}"

#: What came in a week without a partition.
PURGE_CHANGES: Final = """
delete from changes_default where at < now() - make_interval(days => $1)
"""
