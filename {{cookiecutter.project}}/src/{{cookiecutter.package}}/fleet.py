"""A fleet in, rows out as they come, on any executor: threads, processes, a Dask cluster."""

from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from time import monotonic

from .ask import login
from .devices import DEVICES, read
from .failures import Failure, plain
from .targets import Target

REFUSED = 3
"""Refused logins, more than those that went well, after which a password is not tried again."""
_LOGIN = {"auth": -1, None: 1, "no-prompt": 1, "command": 1, "parse": 1}
"""What a kind of failure, or none, says of the login; the others say nothing."""


@dataclass
class Row:
    """What came of one host: its uptime in seconds and its own words, or what went wrong.

    `error` is the kind of failure, None when ok, `detail` the sentence about it; `elapsed` is in
    seconds; `kex`, `host_key` and `cipher` are the algorithms that were agreed on.
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
    kex: str = ""
    host_key: str = ""
    cipher: str = ""


def probe(target: Target, timeout: float = 30.0) -> Row:
    """Ask one host for its uptime. Whatever goes wrong is in the row that comes back."""
    row, began = Row(target.name, target.host, target.device_type), monotonic()
    try:
        if target.device_type not in DEVICES:
            names = ", ".join(DEVICES)
            raise Failure("config", f"{target.device_type!r} is none of the types {names}")
        with login(target, timeout) as session:
            row.kex, row.host_key, row.cipher = session.algorithms
            answer = session.run(DEVICES[target.device_type].command)
        row.uptime_seconds, text = read(target.device_type, answer)
        row.ok, row.text = True, target.masked(text)
    except Failure as failure:
        row.error, row.detail = failure.kind, target.masked(str(failure))
    row.elapsed = round(monotonic() - began, 3)
    return row


def collect(
    targets: Sequence[Target], executor: Executor, timeout: float = 30.0, keep_trying: bool = False
) -> Iterator[Row]:
    """Yield one row for each target, as they are done; a host takes at most `timeout` seconds.

    The executor decides how many hosts are asked at a time, and where. A wrong password on 5,000
    devices of one TACACS server is a locked account. So a password is given to three hosts first,
    and each that accepts it frees the way for two more. After three refusals the rest is not
    tried, unless `keep_trying`.
    """
    waiting: defaultdict[object, deque[Target]] = defaultdict(deque)
    for target in targets:
        waiting[_account(target)].append(target)
    running, refused = Counter[object](), Counter[object]()  # refused: less those accepted
    done: SimpleQueue[tuple[Target, Future[Row]]] = SimpleQueue()

    def submit(account: object) -> None:
        free = keep_trying or not account
        while waiting[account] and (free or refused[account] + running[account] < REFUSED):
            target = waiting[account].popleft()
            running[account] += 1
            task = executor.submit(probe, target, timeout)
            task.add_done_callback(lambda task, target=target: done.put((target, task)))  # type: ignore[misc]

    for account in list(waiting):
        submit(account)
    while any(running.values()):
        try:
            target, task = done.get(timeout=1)  # Windows cannot interrupt a longer wait
        except Empty:
            continue
        if error := task.exception():  # a process or a machine died, or misses a file
            lost = f"the worker failed ({plain(str(error)) or type(error).__name__})"
            row = _failed(target, "config", lost)
        else:
            row = task.result()
        account = _account(target)
        running[account] -= 1
        refused[account] -= _LOGIN.get(row.error, 0)
        submit(account)
        yield row
    advice = f"not tried, since {REFUSED} hosts refused this user and password: check them"
    for target in (target for queue in waiting.values() for target in queue):
        yield _failed(target, "auth", advice)


def _account(target: Target) -> object:
    """Return what a wrong password may lock; a wrong key locks nobody out."""
    return target.password and (target.username, target.password)


def _failed(target: Target, kind: str, detail: str) -> Row:
    return Row(target.name, target.host, target.device_type, error=kind, detail=detail)
