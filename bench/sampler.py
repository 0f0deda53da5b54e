"""Takes samples in a thread, at an even rate, while something else runs."""

import abc
import threading
from typing import Self


class Sampler(abc.ABC):
    """Takes samples while its context is open."""

    def __init__(self, pause_seconds: float) -> None:
        self._pause_seconds = pause_seconds
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    @abc.abstractmethod
    def sample(self) -> bool:
        """Take a sample; return whether to go on."""

    def _run(self) -> None:
        while not self._ended.wait(self._pause_seconds) and self.sample():
            pass
