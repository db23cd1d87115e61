"""/runbook/NAME: what an alert means and what to do about it, readable on the phone that it rang on.

The pages are docs/runbook, which the package carries. What they are written in is small: headings, paragraphs, lists,
fences, code and links between them.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Annotated, Final

import msgspec

from gambit.web.plain_page import HTML, policy, prose, whole
from gambit.web.problem import Problem
from gambit.web.route import Ask, Query, Reply, Route
from gambit.web.services import Services

FOLDER: Final = Path(__file__).parent / "runbook_pages"
INDEX: Final = "index"  # README.md
LINK: Final = re.compile(r"\[([^\]]+)\]\(([\w./-]+)\.md\)")


class PageName(Query, frozen=True, kw_only=True):
    """A page: the id of an alert's rule, or `index`."""

    page: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9_]{1,64}$")]


def runbook_routes(folder: Path = FOLDER) -> tuple[Route, ...]:
    """The one route there is; the pages are read now."""
    pages, allowed = read(folder), policy()

    async def show(_services: Services, ask: Ask) -> Reply:
        """What an alert means, what to look at first, what to do. For everybody: nothing of this desk is in it."""
        page = pages.get(ask.names.page)
        if page is None:
            raise Problem(404, "not_found", f"runbook: there is no page {ask.names.page}; /runbook/{INDEX} names all")
        return Reply(body=page, headers={"Content-Security-Policy": allowed})

    return (
        Route(
            method="GET", path="/runbook/{page}", summary="A page of the runbook", handle=show, rule=None, answer=str,
            names=PageName, tag="alerts", media=HTML, has_etag=True,
        ),
    )  # fmt: skip


def read(folder: Path) -> Mapping[str, bytes]:
    """The pages of a folder, rendered, by name."""
    found = {path.stem: path.read_text() for path in sorted(folder.glob("*.md"))}
    return {INDEX if name == "README" else name: rendered(name, text) for name, text in found.items()}


def rendered(name: str, text: str) -> bytes:
    """A page of the runbook as HTML."""
    body = "".join(_blocks(text.splitlines()))
    begin = "<nav><a href='/'><strong>gambit</strong></a><a href='/runbook/index'>Runbook</a></nav>"
    return whole(escape(f"{name} - gambit runbook"), f"{begin}<main>{body}</main>").encode()


def _blocks(lines: Sequence[str]) -> Iterator[str]:
    """Each run of lines that belong together, as markup."""
    kept: list[str] = []
    is_fenced = False
    for line in [*lines, ""]:
        if line.startswith("```"):
            is_fenced = not is_fenced
            if not is_fenced:
                yield f"<pre>{escape(chr(10).join(kept))}</pre>"
                kept = []
        elif is_fenced:
            kept.append(line)
        elif line.startswith("#"):
            depth = len(line) - len(line.lstrip("#"))
            yield f"<h{depth}>{_linked(line[depth:].strip())}</h{depth}>"
        elif line and not line.startswith("- "):
            kept.append(line)
        else:
            if kept:
                yield f"<p>{_linked(' '.join(kept))}</p>"
                kept = []
            if line:
                yield f"<p>&bull; {_linked(line[2:])}</p>"


def _linked(text: str) -> str:
    """Pages of the runbook are led to, other documents named."""
    return LINK.sub(lambda found: _link(found[1], found[2]), prose(text))


def _link(text: str, path: str) -> str:
    return text if "/" in path else f"<a href='/runbook/{INDEX if path == 'README' else path}'>{text}</a>"
