"""A fleet in, rows out as they come, on any executor: threads, processes, a Dask cluster."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future
from contextlib import suppress
from dataclasses import asdict, dataclass
from queue import Empty, SimpleQueue
from time import monotonic

from .ask import run
from .devices import DEVICES, read
from .failures import Failure, Refused, plain
from .session import Session
from .targets import Target

REFUSED = 3
"""Refused logins, more than those that went well, after which a secret is not tried again."""
_NOT_TRIED = Failure(
    "auth", f"not tried, since {REFUSED} hosts refused this user and secret: check them"
)


@dataclass(slots=True)
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

    def shown(self) -> dict[str, object]:
        """Return what programs get."""
        return {key: v for key, v in asdict(self).items() if key not in ("learned", "login")}


def probe(target: Target, timeout: float = 30.0) -> Row:
    """Ask one host for its uptime. Whatever goes wrong is in the row that comes back."""
    row, began, session = _row(target), monotonic(), Session(target, timeout)
    try:
        if target.device_type not in DEVICES:
            names = ", ".join(DEVICES)
            raise Failure("config", f"{target.device_type!r} is none of the types {names}")
        with session:
            answer = run(session, DEVICES[target.device_type].command)
        row.uptime_seconds, text = read(target.device_type, answer)
        row.ok, row.text = True, _masked(text, target)
    except Failure as failure:
        row = _row(target, failure)
    row.elapsed = round(monotonic() - began, 3)
    row.kex, row.host_key, row.cipher = session.algorithms
    row.learned, row.login = session.learned, 1 if session.accepted else row.login
    return row


class _Account:
    """The hosts of one user and secret: those that wait, and those that are being asked."""

    def __init__(self, keep_trying: bool) -> None:
        self.keep_trying = keep_trying
        self.waiting: deque[Target] = deque()
        self.running: set[Future[Row]] = set()
        self.refused = 0  # less those that were accepted

    def spent(self) -> bool:
        """Tell whether the secret must not be tried any more."""
        return self.refused >= REFUSED and not self.keep_trying

    def free(self) -> bool:
        """Tell whether the next host may be asked now; nobody is locked out for a wrong key."""
        by_key = self.waiting[0].password is None
        return by_key or self.keep_trying or self.refused + len(self.running) < REFUSED

    def cancel(self) -> None:
        """Cancel what has not begun."""
        for task in self.running:
            task.cancel()


_Done = tuple[_Account, Target, "Future[Row]"]


def collect(
    targets: Sequence[Target], executor: Executor, timeout: float = 30.0, keep_trying: bool = False
) -> Iterator[Row]:
    """Yield one row for each target, as they are done; a host takes at most `timeout` seconds.

    The executor decides how many hosts are asked at a time, and where. A wrong password on 5,000
    devices of one TACACS server is a locked account. So a password is given to three hosts first,
    and each that accepts it frees the way for two more. A user and secret that hosts refuse is not
    tried on all the others. `keep_trying` turns both off.
    """
    accounts: dict[object, _Account] = {}
    for target in targets:
        secret = (target.username, target.password, target.keys, target.agent)
        accounts.setdefault(secret, _Account(keep_trying)).waiting.append(target)
    done: SimpleQueue[_Done] = SimpleQueue()

    def ask(account: _Account) -> None:
        while account.waiting and (account.spent() or account.free()):
            start(account, account.waiting.popleft())

    def start(account: _Account, target: Target) -> None:
        if account.spent():
            task: Future[Row] = Future()
            task.cancel()
        else:
            task = executor.submit(probe, target, timeout)
        account.running.add(task)
        task.add_done_callback(lambda task: done.put((account, target, task)))

    try:
        for account in accounts.values():
            ask(account)
        for _ in targets:
            account, target, task = _next(done)
            row = _result(target, task)
            account.running.remove(task)
            account.refused -= row.login
            if account.spent():
                account.cancel()
            ask(account)
            yield row
    finally:
        for account in accounts.values():
            account.cancel()


def _next(done: "SimpleQueue[_Done]") -> _Done:
    while True:
        with suppress(Empty):
            return done.get(timeout=1)  # Windows cannot interrupt a longer wait


def _result(target: Target, task: "Future[Row]") -> Row:
    if task.cancelled():
        return _row(target, _NOT_TRIED)
    error = task.exception()
    if not error:
        return task.result()
    lost = f"the worker was lost ({plain(repr(error))}): start fewer workers"
    return _row(target, Failure("config", lost))  # a process or a machine died


def _row(target: Target, failure: Failure | None = None) -> Row:
    row = Row(target.name, target.host, target.device_type)
    if failure:
        row.error, row.detail = failure.kind, _masked(str(failure), target)
        row.login = -1 if isinstance(failure, Refused) else 0
    return row


def _masked(text: str, target: Target) -> str:
    for secret in target.secrets():
        text = text.replace(secret, "***")
    return text
