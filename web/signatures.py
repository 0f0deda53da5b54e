"""How a worker shows another one that it knows an internal key, without sending it.

The list of workers is a table: whoever can write there, or has been given the address of a worker
that died, gets what the others ask that worker. So a question proves itself for one process, one
path and a short time, and is worth nothing elsewhere.
"""

import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Final

from rules.events.envelopes import to_json
from store.protocols.workers import WorkerRecord

HEADER: Final = "X-Worker-Signature"
#: How far the clocks of two workers may be apart, and how long a question can be repeated.
TOLERANCE_SECONDS: Final = 60

_FORM: Final = re.compile(r"(\d{1,12})\.([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Question:
    """A request from one worker to another; `path` is with its query, as it is sent."""

    method: str
    path: str
    receiver: WorkerRecord

    def sign(self, key: str, at: int) -> str:
        """Return the header's value for the time `at`, in seconds since 1970."""
        return f"{at}.{self._digest(key, at)}"

    def is_signed(self, given: str, keys: Sequence[str], now: float) -> bool:
        """Whether `given` was made with one of the keys, a short time ago."""
        found = _FORM.fullmatch(given)
        if found is None or abs(now - int(found[1])) > TOLERANCE_SECONDS:
            return False
        # All are compared, so that the time does not tell which one it is.
        same = [hmac.compare_digest(self._digest(key, int(found[1])), found[2]) for key in keys]
        return any(same)

    def _digest(self, key: str, at: int) -> str:
        receiver = self.receiver
        parts = [
            HEADER,
            self.method,
            self.path,
            receiver.worker,
            receiver.url,
            receiver.started_at.astimezone(UTC),
            at,
        ]
        return hmac.new(key.encode(), to_json(parts), hashlib.sha256).hexdigest()
