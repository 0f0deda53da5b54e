"""What several workers do for the rate of commands, and what they wait for that they share."""

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import psutil

from bench import commands
from bench.cases.commands import CREATES, ROSTERS, load
from bench.costs import spent
from bench.report import SERVICE, Figures, Report, progress
from bench.rig import START_SECONDS, Process, Rig, running
from bench.sharing import Watch
from bench.sizes import Sizes

#: With more workers than cores, some share one: so do all with PostgreSQL, the broker and the load.
COUNTS: Final = (1, 2, 4)


def run(rig: Rig, sizes: Sizes, report: Report) -> None:
    """Carry out creates, then rosters, with one, two and four workers, each on one core."""
    for count in COUNTS:
        rig.renew()
        workers = [_worker(rig, number) for number in range(count)]
        try:
            with ThreadPoolExecutor() as pool:
                list(pool.map(lambda worker: worker.start(START_SECONDS), workers))
            _pin(workers)
            for number in range(sizes.few_rounds):
                progress(f"processes: {count}, round {number + 1}")
                side = SERVICE if count == COUNTS[0] else f"{count} workers"
                report.add_figures("processes", side, number, _figures(rig, sizes, workers))
        finally:
            for worker in workers:
                worker.stop()


def _worker(rig: Rig, number: int) -> Process:
    data_dir = str(rig.data_dir(f"processes-{number}"))
    return rig.new_service("processes", f"processes-{number}", DATA_DIR=data_dir)


def _pin(workers: list[Process]) -> None:
    cores = sorted(os.sched_getaffinity(0))
    for number, worker in enumerate(workers):
        psutil.Process(running(worker)).cpu_affinity([cores[number % len(cores)]])


def _figures(rig: Rig, sizes: Sizes, workers: list[Process]) -> Figures:
    measured = {case: _measured(rig, sizes, case, workers) for case in (CREATES, ROSTERS)}
    return Figures(
        {f"{case}_{k}": v for case, one in measured.items() for k, v in one.metrics.items()},
        {f"{case}_{k}": v for case, one in measured.items() for k, v in one.notes.items()},
    )


def _measured(rig: Rig, sizes: Sizes, case: str, workers: list[Process]) -> Figures:
    commanded = load(rig, sizes, case)
    for worker in workers:
        worker.await_idle()
    pids = [running(worker) for worker in workers]
    before = [spent(pid).total for pid in pids]
    with rig.meter(workers[0]) as meter, Watch(rig.dsn, pids) as watch:
        seconds = rig.loader.run(commands.carry_out, commanded)
        for worker in workers:
            rig.settle(worker, commanded.dsn)
    used = [spent(pid).total - was for pid, was in zip(pids, before, strict=True)]
    costs = meter.us_for_each(commanded.made)
    metrics = {
        "students_per_s": commanded.made / seconds,
        "cpu_us_workers": sum(used) * 1e6 / commanded.made,
        "cpu_us_postgres": costs["cpu_us_postgres"],
        "cpu_us_broker": costs["cpu_us_broker"],
    }
    share = {f"share_of_{number}": part / sum(used) for number, part in enumerate(used)}
    return Figures(metrics, {**watch.shared.figures(), **share})
