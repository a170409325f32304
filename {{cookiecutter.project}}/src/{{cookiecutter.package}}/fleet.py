"""A fleet in, rows out as they come, on any executor: threads, processes, a Dask cluster."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace

from .devices import read
from .failures import Failure
from .session import Policy, Target, ask, clock


@dataclass(frozen=True, slots=True)
class Row:
    """What came of one host: its uptime in seconds and its own words, or what went wrong.

    `error` is the kind of failure, None when ok, `detail` the sentence about it; `elapsed` is in
    seconds; `learned` is the known_hosts line of a key that was accepted on first use.
    """

    name: str
    host: str
    device_type: str
    ok: bool = False
    uptime_seconds: int | None = None
    text: str = ""
    error: str | None = None
    detail: str = ""
    elapsed: float = 0.0
    learned: str = ""


def collect(
    targets: Sequence[Target],
    timeout: float,
    executor: Executor,
    batch: int = 1,
    threads: int = 1,
) -> Iterator[Row]:
    """Yield one row for each target, as they are done; a host takes at most twice `timeout` s.

    Threads of this process take one host at a time. Processes and machines do better with a
    `batch` of hosts for each task, and `threads` in each to work on it.
    """
    parts = [targets[start : start + batch] for start in range(0, len(targets), batch)]
    tasks = {executor.submit(probe_all, part, timeout, threads): part for part in parts}
    try:
        for task in as_completed(tasks):
            if error := task.exception():  # a process or machine died: its hosts get rows too
                lost = Failure("config", f"the worker was lost ({error!r}): start fewer workers")
                yield from (_row(target, lost) for target in tasks[task])
            else:
                yield from task.result()
    finally:
        for task in tasks:
            task.cancel()


def probe_all(targets: Sequence[Target], timeout: float, threads: int = 1) -> list[Row]:
    """Probe some hosts, on so many threads."""
    if threads == 1:
        return [probe(target, timeout) for target in targets]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(probe, targets, [timeout] * len(targets)))


def probe(target: Target, timeout: float) -> Row:
    """Ask one host for its uptime. Whatever goes wrong is in the row that comes back."""
    policy, started = Policy(target.trust), clock()
    try:
        seconds, text = read(target.settings["device_type"], ask(target, policy, timeout))
        row = replace(_row(target), ok=True, uptime_seconds=seconds, text=text)
    except Failure as failure:
        row = _row(target, failure)
    return replace(row, elapsed=round(clock() - started, 3), learned=policy.learned)


def _row(target: Target, failure: Failure | None = None) -> Row:
    settings, detail = target.settings, str(failure or "")
    for secret in ("password", "passphrase", "secret"):
        detail = detail.replace(settings.get(secret) or "\0", "***")
    error = failure.kind if failure else None
    return Row(target.name, settings["host"], settings["device_type"], error=error, detail=detail)
