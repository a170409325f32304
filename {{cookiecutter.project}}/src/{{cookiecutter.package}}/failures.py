"""What can go wrong with one host: a kind for programs, a sentence for people."""


class Failure(Exception):
    """A host that gave no uptime."""

    def __init__(self, kind: str, sentence: str) -> None:
        """Keep a kind of the table in the manual, and a sentence that says what to do."""
        super().__init__(sentence)
        self.kind = kind


class UsageError(Exception):
    """What the user gave cannot be used. The message says where, and what was expected."""


def plain(text: str) -> str:
    """Return a text on one line, without characters that would control a terminal."""
    return "".join(c for c in " ".join(text.split()) if c.isprintable())


def last_line(text: str) -> str:
    """Return the last line of a text that says something, at most 120 characters of it."""
    lines = [plain(line) for line in text.splitlines()]
    return next(filter(None, reversed(lines)), "")[:120]
