"""The statements of the feed of changes: giving numbers, and reading by them.

A transaction's changes become visible when it commits, in an order that neither their ids nor the
transactions' numbers tell. Between two looks exactly those become visible that are of transactions
that were in progress at the first one, or began since: `changes_xact` finds both, however long a
transaction may last, and nothing else is read. They are numbered in the order of their ids, which
rise while the row of the entity is locked: who changes an entity next has seen the commit, so all
ids of a transaction are lower than those that follow it on one of its entities.
"""

from typing import Final

from store.postgres.advisory import AdvisoryLock

#: One process at a time, and none that hangs keeps the others waiting for long.
LEASE_FEED: Final = f"""
select pg_try_advisory_xact_lock({AdvisoryLock.FEED})
    and set_config('idle_in_transaction_session_timeout', '10s', true) is not null
"""

#: Changes of transactions that were not done when all that was visible had been numbered. Foreign
#: ones, which were brought from another cluster, have numbers of its transactions.
_NEW_CHANGES: Final = """
select id, xact, at, owner_id from changes
where xact >= (select pg_snapshot_xmax(done) from feed_state)
    and xact < (select pg_snapshot_xmax(coalesce(target, pg_current_snapshot())) from feed_state)
    and id > (select first_id from feed_state)
union all
select id, xact, at, owner_id from changes
where xact = any(array(select pg_snapshot_xip(done) from feed_state))
    and id > (select first_id from feed_state)
"""

#: Of $1 of them, about the oldest: they come in the order of their transactions.
WAITING_CHANGES: Final = f"""
select extract(epoch from clock_timestamp() - min(at))::float8
from (
    select at from ({_NEW_CHANGES}) as new
    where id > (select position from feed_state)
        and pg_visible_in_snapshot(
            xact, (select coalesce(target, pg_current_snapshot()) from feed_state))
    limit $1
) as first_ones
"""

#: Numbers at most $1 changes. If there are more, what is visible now is kept as the target of the
#: next times, so that the order of ids holds over all of it.
NUMBER_CHANGES: Final = f"""
with goal as materialized (
    select coalesce(target, pg_current_snapshot()) as target, position from feed_state
), taken as materialized (
    select id, xact, at, owner_id from ({_NEW_CHANGES}) as new
    where id > (select position from goal)
        and pg_visible_in_snapshot(xact, (select target from goal))
    order by id limit $1
), numbered as (
    insert into feed (last_sequence, owner_id, xact, at, ids)
    select (select sequence from feed_state) + sum(count(*)) over (order by max(id)),
        owner_id, xact, at, array_agg(id order by id)
    from taken group by xact, owner_id, at
), counted as (
    select count(*) as number, max(id) as last_id from taken
)
update feed_state set sequence = sequence + number,
    done = case when number < $1 then goal.target else done end,
    target = case when number < $1 then null else goal.target end,
    position = case when number < $1 then 0 else last_id end
from goal, counted
where number > 0 or feed_state.target is not null
returning number
"""

#: Where this database is, and where it was when changes were numbered last.
FEED_PLACES: Final = """
select relation, system, timeline,
    (select oid from pg_database where datname = current_database())::text || '/'
        || 'feed_state'::regclass::oid as relation_now,
    substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) as timeline_now,
    has_function_privilege('pg_control_system()', 'execute') as may_ask_system,
    has_table_privilege('changes', 'update') as may_lock
from feed_state
"""

FEED_SYSTEM: Final = "select system_identifier::text from pg_control_system()"

SET_FEED_PLACE: Final = """
update feed_state set relation = $1, system = coalesce($2, system), timeline = $3,
    epoch = case when $4 then gen_random_uuid() else epoch end
"""

#: Until the commit nobody changes anything, and nobody has changed anything that is not committed.
LOCK_CHANGES: Final = "set local lock_timeout = '5s'; lock table changes in share mode"

#: Begins anew, behind all changes that were brought from elsewhere.
RESTART_FEED: Final = """
update feed_state set done = pg_current_snapshot(), target = null, position = 0, floor = sequence,
    first_id = coalesce(pg_sequence_last_value('changes_ids'), 0)
"""

FEED_STATE: Final = "select epoch, sequence, floor from feed_state"

#: At most $3 changes behind the number $2, of one owner ($1) or of all; always one row at least, as
#: of one instant. A row of the feed stands for one change or for thousands, and of them so many are
#: read as have so many changes. What was erased on purpose is left out.
#: `offset 0` has each transaction's changes found by its number: a plan made when there were fewer
#: read all of them.
_FEED_PAGE: Final = """
select epoch, state.sequence as last_given, floor, told.*
from feed_state as state left join lateral (
    select change.*, essay.essay_id, essay.batch_id, essay.suggested_student_id,
        essay.confidence, essay.student_id, essay.status, essay.method, essay.validated_by
    from (
        select *, sum(least(size, last_sequence - begin)) over (order by last_sequence)
            - least(size, last_sequence - begin) as before_it
        from (
            select last_sequence, cardinality(ids) as size, ids, xact, at,
                greatest($2::bigint, state.floor) as begin
            from feed
            where {whose} and last_sequence > greatest($2::bigint, state.floor)
            order by last_sequence limit $3
        ) as next_ones
    ) as entry
    cross join lateral (
        select last_sequence - size + number as sequence, id, at, owner_id, entity, entity_id,
            class_id, kind, version, by_user, correlation_id, before, after
        from changes join unnest(entry.ids) with ordinality as one (id, number) using (id)
        where xact = entry.xact and at = entry.at and last_sequence - size + number > begin
        offset 0
    ) as change
    left join associations as essay
        on entity = 'association' and kind = 'created' and essay.essay_id = entity_id
    where before_it < $3
    order by sequence limit $3
) as told on true
order by told.sequence
"""

CHANGES_OF_OWNER: Final = _FEED_PAGE.format(whose="owner_id = $1")
#: $1 is null.
CHANGES_OF_ALL: Final = _FEED_PAGE.format(whose="$1::text is null")

#: What ended before $1 is about to be dropped.
RAISE_FLOOR: Final = """
update feed_state set floor = greatest(floor, gone.last_sequence)
from (select max(last_sequence) as last_sequence from feed where at < $1) as gone
where gone.last_sequence > floor
"""

#: What came in a week without a partition.
PURGE_FEED: Final = """
with gone as (
    delete from feed_default where at < now() - $1::interval
    returning last_sequence
)
update feed_state set floor = greatest(floor, (select max(last_sequence) from gone))
where exists (select from gone)
"""

#: The history of an entity, of one owner: the index has no associations.
_HISTORY: Final = """
select id, at, owner_id, entity, entity_id, class_id, kind, version, by_user, correlation_id,
    before, after
from changes
where entity_id = $1 and entity <> 'association' and owner_id = $2 and {what} and id > $3
order by id limit $4
"""
CLASS_HISTORY: Final = _HISTORY.format(what="entity = 'class'")
STUDENT_HISTORY: Final = _HISTORY.format(what="entity in ('student', 'enrollment')")

OWNED_CLASS: Final = "select exists(select from classes where id = $1 and owner_id = $2)"
OWNED_STUDENT: Final = "select exists(select from students where id = $1 and owner_id = $2)"
