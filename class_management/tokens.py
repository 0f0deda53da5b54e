"""The keys of callers' tokens, from the settings."""

import re
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from class_management.settings import PREFIX, Settings, SettingsError
from telemetry.health import HealthReport
from telemetry.logs import get_logger
from telemetry.metrics import Metrics
from web.jwks import JwksFile, JwksServer, JwksSource
from web.key_ring import KeyRing
from web.services import HealthProtocol
from web.token_keys import TokenKey, UnfitKeyError, keys_of_pem, keys_of_secret

_URL: Final = re.compile(r"(https|http|file)://")

_log = get_logger(__name__)


def check_tokens(settings: Settings) -> None:
    """Raise SettingsError, with one line for the operator, if the key cannot be used."""
    if settings.gateway_jwt_key is not None:
        _keys(settings.gateway_jwt_key.get_secret_value())


def key_ring(settings: Settings, metrics: Metrics) -> KeyRing | None:
    """Return the keys of tokens, None if there is no key. Raises SettingsError."""
    if settings.gateway_jwt_key is None:
        return None
    key = settings.gateway_jwt_key.get_secret_value()
    return KeyRing(metrics, _keys(key), _source(key))


def _keys(key: str) -> tuple[TokenKey, ...]:
    """Return the keys that the setting itself has."""
    if _URL.match(key):
        return ()
    try:
        return keys_of_pem(key) if key.lstrip().startswith("-----BEGIN") else keys_of_secret(key)
    except UnfitKeyError as error:
        raise SettingsError(f"{PREFIX}GATEWAY_JWT_KEY: {error}") from None


def _source(key: str) -> JwksSource | None:
    found = _URL.match(key)
    if found is None:
        return None
    if found[1] == "file":
        return JwksFile(Path(unquote(urlsplit(key).path)))
    if found[1] == "http":
        _log.warning("token keys come over http: who is between can put others in their place")
    return JwksServer(key)


class HealthWithKeys:
    """The health of a process, with the state of the keys: what is wrong waits for a person."""

    def __init__(self, health: HealthProtocol, ring: KeyRing) -> None:
        self._health = health
        self._ring = ring
        self.live = health.live
        self.ready = health.ready

    async def full(self) -> HealthReport:
        """Add whether the keys are the newest."""
        return (await self._health.full()).with_notice("token_keys", self._ring.state)
