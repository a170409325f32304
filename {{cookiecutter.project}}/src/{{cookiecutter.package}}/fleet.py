"""A fleet in, rows out as they come, on any executor: threads, processes, a Dask cluster."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace
from queue import Empty, SimpleQueue

from .ask import run
from .devices import DEVICES, read
from .failures import Failure, Refused, plain
from .session import Session, clock
from .targets import Target

REFUSED = 3
"""Refused logins, more than those that went well, after which a secret is not tried again."""


@dataclass(frozen=True, slots=True)
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
    learned: str = ""
    """The known_hosts line of a key that was accepted on first use."""
    login: int = 0
    """1 for a login that was accepted, -1 for one that was refused, else 0."""


def probe(target: Target, timeout: float = 30.0) -> Row:
    """Ask one host for its uptime. Whatever goes wrong is in the row that comes back."""
    started, session = clock(), Session(target, timeout)
    try:
        if target.device_type not in DEVICES:
            names = ", ".join(DEVICES)
            raise Failure("config", f"{target.device_type!r} is none of the types {names}")
        with session:
            answer = run(session, DEVICES[target.device_type].command)
        seconds, text = read(target.device_type, answer)
        row = replace(_row(target), ok=True, uptime_seconds=seconds, text=_masked(text, target))
    except Failure as failure:
        row = _row(target, failure)
    if session.accepted:
        row = replace(row, login=1)
    return replace(
        row,
        elapsed=round(clock() - started, 3),
        learned=session.learned,
        kex=session.algorithms["kex"],
        host_key=session.algorithms["host_key"],
        cipher=session.algorithms["cipher"],
    )


def collect(
    targets: Sequence[Target], executor: Executor, timeout: float = 30.0, keep_trying: bool = False
) -> Iterator[Row]:
    """Yield one row for each target, as they are done; a host takes at most `timeout` seconds.

    The executor decides how many hosts are asked at a time, and where. A user and secret that
    hosts refuse are not tried on all the others, unless `keep_trying`.
    """
    accounts: dict[object, _Account] = {}
    for target in targets:
        secret = (target.username, target.password, target.keys, target.agent)
        accounts.setdefault(secret, _Account(keep_trying)).waiting.append(target)
    done: SimpleQueue[tuple[_Account, Target, Future[Row]]] = SimpleQueue()

    def start(account: _Account) -> None:
        for target in account.next():
            task = account.running[target.name] = _submit(executor, target, timeout)
            task.add_done_callback(lambda task, target=target: done.put((account, target, task)))  # type: ignore[misc]

    try:
        for account in accounts.values():
            start(account)
        rows = 0
        while rows < len(targets):
            for account in accounts.values():
                while account.waiting and account.spent():
                    rows += 1
                    yield _row(account.waiting.popleft(), _NOT_TRIED)
            try:
                account, target, task = done.get(
                    timeout=1
                )  # Windows cannot interrupt a longer wait
            except Empty:
                continue
            rows += 1
            yield account.end(target, task)
            start(account)
    finally:
        for account in accounts.values():
            account.cancel()


class _Account:
    """The hosts of one user and secret: those that wait, and those that are being asked.

    A wrong password on 5,000 devices of one TACACS server is a locked account. So a password is
    tried on three hosts; each that accepts it frees the way for two more.
    """

    def __init__(self, keep_trying: bool) -> None:
        self.keep_trying = keep_trying
        self.waiting: deque[Target] = deque()
        self.running: dict[str, Future[Row]] = {}
        self.refused = 0  # less those that were accepted

    def spent(self) -> bool:
        """Tell whether the secret must not be tried any more."""
        return self.refused >= REFUSED and not self.keep_trying

    def next(self) -> Iterator[Target]:
        """Yield the hosts that may be asked now."""
        while self.waiting and not self.spent():
            by_key = self.waiting[0].password is None  # nobody is locked out for a wrong key
            if not (by_key or self.keep_trying or self.refused + len(self.running) < REFUSED):
                return
            yield self.waiting.popleft()

    def end(self, target: Target, task: "Future[Row]") -> Row:
        """Return the row of a task that ended, whichever way."""
        del self.running[target.name]
        if task.cancelled():
            return _row(target, _NOT_TRIED)
        if error := task.exception():  # a process or a machine died: its hosts get rows too
            lost = f"the worker was lost ({plain(repr(error))}): start fewer workers"
            return _row(target, Failure("config", lost))
        row = task.result()
        self.refused -= row.login
        if self.spent():
            self.cancel()
        return row

    def cancel(self) -> None:
        """Cancel what has not begun."""
        for task in list(self.running.values()):
            task.cancel()


_NOT_TRIED = Failure(
    "auth", f"not tried, since {REFUSED} hosts refused this user and secret: check them"
)


def _submit(executor: Executor, target: Target, timeout: float) -> "Future[Row]":
    try:
        return executor.submit(probe, target, timeout)
    except RuntimeError as error:  # an executor that broke takes nothing any more
        broken: Future[Row] = Future()
        broken.set_exception(error)
        return broken


def _row(target: Target, failure: Failure | None = None) -> Row:
    return Row(
        target.name,
        target.host,
        target.device_type,
        error=failure.kind if failure else None,
        detail=_masked(str(failure or ""), target),
        login=-1 if isinstance(failure, Refused) else 0,
    )


def _masked(text: str, target: Target) -> str:
    for secret in target.secrets():
        text = text.replace(secret, "***")
    return text
