"""Dead letters that people decided about."""

from typing import Final

from rules.suggestions import Outcome

DECISIONS: Final = """
select letter, decision, decided_at, replay_id, outcome, reason, outcome_at
from dead_letter_decisions where letter = any($1::uuid[])
"""

#: Returns the letters it decides about; those decided about before only if $5 is true.
DECIDE_LETTERS: Final = """
insert into dead_letter_decisions (letter, address, decision, replay_id)
select letter, address, decision, replay_id
from unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[])
    as decided (letter, address, decision, replay_id)
order by letter
on conflict (letter) do update set decision = excluded.decision, decided_at = now(),
    replay_id = excluded.replay_id, outcome = null, reason = null, outcome_at = null
where $5::boolean
returning letter
"""

COUNT_DECIDED: Final = """
with decided as (
    select distinct split_part(address, '/', 1) as topic,
        split_part(address, '/', 2)::integer as partition,
        split_part(address, '/', 3)::bigint as place
    from dead_letter_decisions
)
select topic, count(*) as letters
from unnest($1::text[], $2::integer[], $3::bigint[], $4::bigint[])
    as log (topic, partition, first, past) join decided using (topic, partition)
where place >= first and place < past
group by topic
"""

#: The same condition as `rules.dead_letters.replays.advances`.
NOTE_REPLAYS: Final = f"""
update dead_letter_decisions
set outcome = ended.outcome, reason = ended.reason, outcome_at = now()
from unnest($1::uuid[], $2::text[], $3::text[]) as ended (replay_id, outcome, reason)
where dead_letter_decisions.replay_id = ended.replay_id
    and (dead_letter_decisions.outcome is null
        or dead_letter_decisions.outcome = '{Outcome.PARKED}'
            and ended.outcome <> '{Outcome.DUPLICATE}')
"""

SENT_REPLAYS: Final = """
select replay_id from dead_letter_decisions where replay_id = any($1::uuid[])
"""

FORGET_DECISIONS: Final = """
delete from dead_letter_decisions where decided_at < now() - make_interval(days => $1)
"""
