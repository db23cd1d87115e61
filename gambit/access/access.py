"""All of access as one thing to hand around."""

from collections.abc import Callable
from dataclasses import dataclass

from gambit.access import passwords
from gambit.access.book import Book, Keeper, Secrets
from gambit.access.logins import Logins
from gambit.access.people import People
from gambit.events import Fact


@dataclass(frozen=True, slots=True)
class Access:
    """`logins` say who somebody is, `people` changes who there is, `book` remembers and tells who ended."""

    book: Book
    logins: Logins
    people: People

    @classmethod
    def over(
        cls,
        keeper: Keeper,
        secrets: Secrets,
        *,
        now_ns: Callable[[], int],
        chance: Callable[[int], bytes],
        tell: Callable[[Fact], object] | None,
        cost: passwords.Cost = passwords.COST,
    ) -> "Access":
        """`book.open()` has still to be awaited."""
        book = Book(keeper, secrets, now_ns=now_ns, chance=chance, tell=tell)
        logins = Logins(book, cost)
        return cls(book, logins, People(book, logins))
