"""A line for each file whose tests have run: with several processes, dots say little."""

import time
from collections import Counter, defaultdict
from collections.abc import Generator, Sequence

import pytest

Status = tuple[str, str | tuple[str, dict[str, bool]], object]


@pytest.hookimpl(trylast=True)  # once the reporter is there
def pytest_configure(config: pytest.Config) -> None:
    """Take the place of the dots where tests run side by side."""
    beside = config.getoption("numprocesses", None) and not hasattr(config, "workerinput")
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if beside and reporter is not None and config.get_verbosity() == 0:
        reporter._show_progress_info = False
        config.pluginmanager.register(Progress(reporter))


class Progress:
    """Counts what has run of each file."""

    def __init__(self, reporter: pytest.TerminalReporter) -> None:
        self._reporter = reporter
        self._began = time.monotonic()
        self._waiting: Counter[str] = Counter()
        self._outcomes: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._total = 0

    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        """Note what there is to run; every process finds the same."""
        self._waiting = Counter(map(_file, ids))
        self._total = len(ids)

    @pytest.hookimpl(wrapper=True)
    def pytest_report_teststatus(self) -> Generator[None, Status, Status]:
        """Leave out the dots."""
        category, _, word = yield
        return category, "", word

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Say so at once where something fails, and with its last test how a file went."""
        file = _file(report.nodeid)
        self._seconds[file] += report.duration
        if report.when == "call" or not report.passed:
            self._outcomes[file][report.outcome] += 1
        if report.failed:
            self._reporter.write_line(f"{report.outcome.upper()} {report.nodeid} ({report.when})")
        if report.when == "teardown":
            self._waiting[file] -= 1
            if not self._waiting[file]:
                self._reporter.write_line(self._line(file))

    def _line(self, file: str) -> str:
        minutes, seconds = divmod(int(time.monotonic() - self._began), 60)
        done = 100 - 100 * self._waiting.total() // self._total
        outcomes = ", ".join(f"{count} {word}" for word, count in self._outcomes[file].items())
        took = self._seconds[file]
        return f"{minutes:3}:{seconds:02} {done:3}%  {file}  {outcomes} in {took:.1f} s"


def _file(nodeid: str) -> str:
    return nodeid.partition("::")[0]
