"""The languages of the console: texts, dates, numbers and plurals.

Texts are English in the source; web/console/locale has the others, a folder for each language.
"""

import gettext
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from functools import cache, lru_cache
from io import BytesIO
from pathlib import Path
from typing import Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from aiohttp import web
from babel import Locale, dates, negotiate_locale, numbers
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

Unit = Literal["day", "hour", "minute", "second"]

SOURCE: Final = "en"
LANGUAGES: Final = (SOURCE, "sv")
LOCALES: Final = Path(__file__).with_name("locale")

LANGUAGE_COOKIE: Final = "console_language"
ZONE_COOKIE: Final = "console_zone"
#: Of who has not said where it is: the platform's schools.
DEFAULT_ZONE: Final = "Europe/Stockholm"


@cache
def translations(language: str) -> gettext.NullTranslations:
    """Return the texts of a language."""
    if language == SOURCE:
        return gettext.NullTranslations()
    merged = Catalog(locale=language)
    for path in sorted((LOCALES / language).glob("*.po")):
        with path.open("rb") as file:
            for message in read_po(file, locale=language):
                if message.id:
                    merged[message.id] = message
    compiled = BytesIO()
    write_mo(compiled, merged)
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


def language_of(request: web.Request) -> str:
    """Return the language that was switched to, else the one that the browser prefers."""
    chosen = request.cookies.get(LANGUAGE_COOKIE)
    if chosen in LANGUAGES:
        return chosen
    accepted = _accepted(request.headers.get("Accept-Language", ""))
    return negotiate_locale(accepted, LANGUAGES, sep="-") or SOURCE


def _accepted(header: str) -> list[str]:
    """Return the languages of a header, the preferred one first."""
    weighed: list[tuple[float, str]] = []
    for element in header.split(",")[:20]:
        name, _, parameter = element.partition(";")
        try:
            weight = float(parameter.strip().removeprefix("q=")) if parameter.strip() else 1.0
        except ValueError:
            continue
        if weight > 0:
            weighed.append((weight, name.strip().lower().partition("-")[0]))
    return [name for _, name in sorted(weighed, key=lambda one: -one[0])]


def zone_of(request: web.Request) -> tzinfo:
    """Return the time zone that the browser has, as its script told."""
    try:
        return ZoneInfo(request.cookies.get(ZONE_COOKIE, DEFAULT_ZONE))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo(DEFAULT_ZONE)


@cache
def _locale(language: str) -> Locale:
    return Locale.parse("en_GB" if language == SOURCE else language)


# A page with thousands of rows writes the same few shares and instants again and again, for each of
# which Babel would read a pattern anew.


@lru_cache(maxsize=1024)
def _percent(language: str, whole: int) -> str:
    return numbers.format_percent(whole / 100, "#,##0\u202f%", _locale(language))


@lru_cache(maxsize=1024)
def _day(language: str, day: date, skeleton: str) -> str:
    instant = datetime.combine(day, time())
    return dates.format_skeleton(skeleton, instant, locale=_locale(language))


@lru_cache(maxsize=4096)
def _time(language: str, hour: int, minute: int) -> str:
    return dates.format_time(time(hour, minute), "HH:mm", locale=_locale(language))


@dataclass(frozen=True, slots=True)
class Speech:
    """How one page speaks; templates have it as `ui`."""

    language: str
    zone: tzinfo

    @property
    def locale(self) -> Locale:
        """What Babel knows of the language; English as Europeans write it."""
        return _locale(self.language)

    def text(self, message: str, **values: object) -> str:
        """Return a text in the language, with what it leaves room for."""
        found = translations(self.language).gettext(message)
        return found % values if values else found

    def plural(self, one: str, many: str, count: int, **values: object) -> str:
        """Return the text for so many; `%(num)s` in it is the number as it is written."""
        found = translations(self.language).ngettext(one, many, count)
        return found % {"num": self.number(count), **values}

    def number(self, value: float) -> str:
        """Write a number."""
        return numbers.format_decimal(value, locale=self.locale)

    def percent(self, share: float) -> str:
        """Write a share of 1 in whole percents, rounded down: 69.9 % is not yet 70."""
        return _percent(self.language, int(share * 100 + 1e-9))

    def when(self, instant: datetime) -> str:
        """Write an instant as day and time, with the year if it is another one."""
        local = instant.astimezone(self.zone)
        this_year = local.year == datetime.now(self.zone).year
        day = _day(self.language, local.date(), "MMMd" if this_year else "yMMMd")
        return f"{day} {self.time(instant)}"

    def time(self, instant: datetime) -> str:
        """Write the time of an instant's day."""
        local = instant.astimezone(self.zone)
        return _time(self.language, local.hour, local.minute)

    def duration(self, length: timedelta) -> str:
        """Write a length of time: days and hours, hours and minutes, or minutes alone."""
        minutes = max(0, int(length.total_seconds() // 60))
        days, hours = divmod(minutes // 60, 24)
        parts: Sequence[tuple[int, Unit]] = (
            ((days, "day"), (hours, "hour"))
            if days >= 2  # noqa: PLR2004
            else ((minutes // 60, "hour"), (minutes % 60, "minute"))
        )
        shown = [(count, unit) for count, unit in parts if count] or [(0, "minute")]
        return " ".join(self._unit(count, unit) for count, unit in shown)

    def age(self, length: timedelta) -> str:
        """Write how old something is: in seconds below two minutes."""
        seconds = max(0, int(length.total_seconds()))
        return self._unit(seconds, "second") if seconds < 120 else self.duration(length)  # noqa: PLR2004

    def _unit(self, count: int, unit: Unit) -> str:
        length = timedelta(**{f"{unit}s": count})
        return dates.format_timedelta(
            length, unit, threshold=1e9, format="short", locale=self.locale
        )


def speech_of(request: web.Request) -> Speech:
    """Return how to speak to who asks."""
    return Speech(language_of(request), zone_of(request))
