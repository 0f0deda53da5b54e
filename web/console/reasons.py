"""The texts of rules.dead_letters.reasons, marked for the catalogues."""

from typing import Final

from web.console.notices import N_

TEXTS: Final = (
    N_("this version does not know the reason"),
    N_("Look at it with the version that wrote it."),
    N_("it says no reason: something other than this service wrote it"),
    N_("Find out who did; replay it where it is a message that the service should have handled."),
    N_("not JSON, not UTF-8, empty"),
    N_("Have the sender send it rightly, then drop it. A replay fails again."),
    N_(
        "a record batch that Kafka returned damaged, or in a form that is not known, in three "
        "fetches over 10 s; `dlt-offset` and `dlt-last-offset` say where it lies"
    ),
    N_("Have its sender send again what it sent then; drop it. It has nothing to replay."),
    N_(
        "JSON of another form; `dlt-exception` names the members. Of a command: its name, its "
        "user or its ids cannot be read; other mistakes are results"
    ),
    N_(
        "Have the sender send it rightly, then drop it. Replay it where a newer version of "
        "the service reads it."
    ),
    N_("no such class after `SUGGESTION_RETRY_SECONDS`"),
    N_("Replay it once the class is there; drop it where the class was deleted."),
    N_("the class of the message, or of its batch, was deleted"),
    N_("Drop it: the batch was closed with the deletion. A replay fails again."),
    N_("every essay of the batch was decided before"),
    N_("Drop it: a closed batch stays closed. A replay fails again."),
    N_("the batch belongs to another class"),
    N_("Ask the sender which class is right; drop it. A replay fails again."),
    N_("the batch would have more than 2,000 essays"),
    N_("Have the sender make several batches of it, then drop it. A replay fails again."),
    N_("data that PostgreSQL does not take"),
    N_("Report it with `dlt-exception`; replay it once that is mended."),
    N_("a defect; `dlt-exception` names its type"),
    N_("Report it; replay it once a version without the defect runs."),
)
