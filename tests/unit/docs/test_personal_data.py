"""The page for operators says of every table with personal data what it has, and how long."""

from devstack.stack import REPOSITORY
from rules.personal.declarations import TABLES, Whose, topics_with

PAGE = (REPOSITORY / "docs" / "operating.md").read_text(encoding="utf-8")


def test_the_table_is_what_is_declared() -> None:
    rows = [
        f"| `{table.name}` | {', '.join(f'`{name}`' for name in table.personal)} | {table.kept} |"
        for table in TABLES.values()
        if table.is_personal
    ]
    begin = PAGE.index("| table | columns | rows stay |\n|---|---|---|\n")
    shown = PAGE[begin:].partition("\n\n")[0].splitlines()[2:]
    assert shown == rows


def test_how_long_topics_keep_what_was_published_is_what_is_said() -> None:
    days = {topic.days for whose in Whose for topic in topics_with(whose)}
    assert days == {7, 30}
    assert "that is 7 days, and 30 for dead letters" in PAGE
