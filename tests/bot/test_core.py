"""The bot without IO: who has an effect at all (S41), once (S42), with whose rights, after which tap."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambit.access.permissions import Role
from gambit.telegram import keeping, words
from gambit.telegram.commands import COMMANDS, BadArguments, amount
from gambit.telegram.core import CONFIRM_NS, NOTES_A_MINUTE, REPEAT_NS, SECOND_NS, Core, Person
from gambit.telegram.keeping import Kept, Link
from gambit.telegram.update import Nod, Note, Run, Say, Update

ANN, BOB, EVE = 1, 2, 666
NOW_NS = 1_750_000_000 * SECOND_NS
PEOPLE = {
    "u1": Person("u1", "ann", Role.TRADER, True),
    "u2": Person("u2", "bob", Role.VIEWER, True),
    "u3": Person("u3", "cleo", Role.ADMIN, True),
    "u4": Person("u4", "dan", Role.ADMIN, False),
}


@dataclass
class Chat:
    """A core, its clock, and people who speak to it."""

    users: tuple[int, ...] = (ANN, BOB, 3, 4)
    chats: tuple[int, ...] = (ANN, BOB, 3, 4)
    people: dict[str, Person] = field(default_factory=lambda: dict(PEOPLE))
    kept: Kept = field(
        default_factory=lambda: Kept(links={str(n): Link(f"u{n}", n, 0) for n in range(1, 5)})
    )  # fmt: skip

    def __post_init__(self) -> None:
        self.now_ns = NOW_NS
        self.next_id = 10
        self.drawn = 0
        self.core = Core(self.users, self.chats, self.people.get, self.kept, self._chance)

    def _chance(self, count: int) -> bytes:
        self.drawn += 1
        return self.drawn.to_bytes(count, "big")

    def update(self, **fields: Any) -> Update:
        self.next_id += 1
        given: dict[str, Any] = {
            "update_id": self.next_id, "kind": "message", "user_id": ANN, "chat_id": ANN, "chat_type": "private",
            "date_sec": self.now_ns // SECOND_NS, **fields,
        }  # fmt: skip
        return Update(**given)

    def say(self, text: str, user: int = ANN, **fields: Any) -> list[Any]:
        return self.core.on_update(self.update(text=text, user_id=user, chat_id=user, **fields), self.now_ns)

    def press(self, data: str, user: int = ANN, **fields: Any) -> list[Any]:
        given = {"kind": "button", "data": data, "callback_id": "c", "user_id": user, "chat_id": user, **fields}
        return self.core.on_update(self.update(**given), self.now_ns)

    def asked(self, text: str, user: int = ANN) -> str:
        """Say it and give the button that does it."""
        [said] = [one for one in self.say(text, user) if isinstance(one, Say)]
        return said.buttons[0][1]


def runs(actions: list[Any]) -> list[Run]:
    return [one for one in actions if isinstance(one, Run)]


def told(actions: list[Any]) -> str:
    return " ".join(one.html for one in actions if isinstance(one, Say))


def test_an_empty_list_is_nobody() -> None:
    """S41: without users or without chats nothing has an effect, linked or not."""
    for users, chats in (((), (ANN,)), ((ANN,), ()), ((), ())):
        chat = Chat(users=users, chats=chats)
        [note] = chat.say("/halt")
        assert (note.outcome, note.detail) == ("refused", "not on the lists")
        code = chat.core.offer("u1", chat.now_ns)
        assert not runs(chat.say(f"/start {code}"))
        assert chat.core.on_alert({"event": "raised", "severity": "critical", "rule_id": "x"}) == []


@pytest.mark.parametrize(
    "fields",
    [
        {"user_id": EVE},
        {"chat_id": EVE},
        {"chat_id": -100, "chat_type": "supergroup"},
        {"chat_type": "group"},
        {"chat_type": "supergroup"},
        {"chat_type": "channel"},
        {"kind": "channel", "user_id": 0},
        {"kind": "edited"},
        {"kind": "other"},
        {"is_forward": True},
        {"is_bot": True},
        {"date_sec": NOW_NS // SECOND_NS - 61},
    ],
)
def test_what_has_no_effect(fields: dict[str, Any]) -> None:
    """S41, S42: strangers, groups, channels, edits, forwards, bots, old messages: a record, no deed."""
    chat = Chat()
    actions = chat.core.on_update(chat.update(**{"text": "/status", **fields}), chat.now_ns)
    assert not runs(actions)
    notes = [one for one in actions if isinstance(one, Note)]
    assert [note.outcome for note in notes] == ["refused"]
    assert len(actions) == len(notes) + bool(notes[0].detail == "too old")


def test_strangers_cannot_fill_the_journal() -> None:
    """Their records are bounded by the minute."""
    chat = Chat()
    notes = sum(len(chat.say("/status", EVE)) for _ in range(500))
    assert notes == NOTES_A_MINUTE
    chat.now_ns += 61 * SECOND_NS
    assert len(chat.say("/status", EVE)) == 1


def test_an_update_counts_once() -> None:
    """S42: the same id again, an older one, and after a restart: nothing. After a week ids may begin anew."""
    chat = Chat()
    update = chat.update(text="/status")
    assert runs(chat.core.on_update(update, chat.now_ns))
    assert chat.core.on_update(update, chat.now_ns) == []
    older = msgspec.structs.replace(update, update_id=update.update_id - 5)
    assert chat.core.on_update(older, chat.now_ns) == []
    again = Chat(kept=msgspec.json.decode(msgspec.json.encode(chat.kept), type=Kept))
    assert again.core.on_update(update, again.now_ns) == []
    again.now_ns += 8 * 24 * 3600 * SECOND_NS
    assert runs(again.say("/status", update_id=3))


@pytest.mark.parametrize(
    ("command", "least"),
    [
        ("/status", Role.VIEWER),
        ("/mood", Role.VIEWER),
        ("/opportunities", Role.TRADER),
        ("/pnl", Role.TRADER),
        ("/trades", Role.TRADER),
        ("/halt", Role.TRADER),
        ("/confirm_order p1 10", Role.TRADER),
        ("/cancel_order o1", Role.TRADER),
        ("/admin_stats", Role.ADMIN),
    ],
)
def test_roles(command: str, least: Role) -> None:
    """By the one table: each command is for its role and those above, and no unlinked or suspended account."""
    for user, role in ((BOB, Role.VIEWER), (ANN, Role.TRADER), (3, Role.ADMIN)):
        actions = Chat().say(command, user)
        is_let = bool(runs(actions)) or any(isinstance(one, Say) and one.buttons for one in actions)
        assert is_let == (role.rank >= least.rank), (command, role)
        notes = [one.outcome for one in actions if isinstance(one, Note)]
        assert notes == (["refused"] if not is_let else ["asked"] if not runs(actions) else ["ok"])
    for chat in (Chat(), Chat(kept=Kept())):
        assert not runs(chat.say(command, 4))


def test_limits() -> None:
    """So many a minute per person and command, as product.md has them."""
    limits = {"status": 10, "opportunities": 10, "confirm_order": 5, "cancel_order": 5, "subscribe_alerts": 5}
    assert {name: COMMANDS[name].per_minute for name in limits} == limits
    assert COMMANDS["admin_stats"].per_minute == 10
    chat = Chat()
    assert all(runs(chat.say("/status")) for _ in range(10))
    assert "10 a minute" in told(chat.say("/status"))
    assert runs(chat.say("/status", BOB))
    chat.now_ns += 61 * SECOND_NS
    assert runs(chat.say("/status"))


def test_two_taps() -> None:
    """Nothing is done at the first; the button does it once, for whom it was made, within a minute."""
    chat = Chat()
    button = chat.asked("/cancel_order o1")
    assert not runs(chat.press(button, BOB))
    assert not runs(chat.press(button, ANN, chat_id=BOB))
    assert not runs(chat.press("y:" + "0" * 32))
    [run] = runs(chat.press(button))
    assert (run.methods, run.is_deed) == ((("order.cancel", {"order_id": "o1"}),), True)
    assert not runs(chat.press(button))
    button = chat.asked("/halt now")
    chat.now_ns += CONFIRM_NS
    actions = chat.press(button)
    assert not runs(actions)
    assert [one.text for one in actions if isinstance(one, Nod)] == ["too late; ask again"]
    button = chat.asked("/halt now")
    assert told(chat.press(button.replace("y:", "n:"))) == "left as it is"
    assert not runs(chat.press(button))


def test_who_lost_the_right_between_the_taps_does_nothing() -> None:
    """The role is looked at again, and whether they are a user at all."""
    chat = Chat()
    button = chat.asked("/halt")
    chat.people["u1"] = Person("u1", "ann", Role.VIEWER, True)
    assert "needs the scope" in told(chat.press(button))
    chat = Chat()
    button = chat.asked("/halt")
    chat.people["u1"] = Person("u1", "ann", Role.TRADER, False)
    assert not runs(chat.press(button))


def test_the_same_deed_within_an_hour_is_done_once() -> None:
    """product.md, "Idempotency": chat, command, arguments; over a restart too; after an hour it may be done again."""
    chat = Chat()
    [run] = runs(chat.press(chat.asked("/cancel_order o1")))
    first, second = chat.asked("/cancel_order o2"), chat.asked("/cancel_order o2")
    chat.core.answered(run, [{"done": "gb-o1"}], chat.now_ns)
    assert "done already: done: gb-o1" in told(chat.say("/cancel_order o1"))
    [other] = runs(chat.press(first))
    chat.core.answered(other, [{"done": "gb-o2"}], chat.now_ns)
    assert not runs(chat.press(second))
    again = Chat(kept=msgspec.json.decode(msgspec.json.encode(chat.kept), type=Kept))
    again.next_id = 1000
    assert "done already" in told(again.say("/cancel_order o1"))
    again.now_ns += REPEAT_NS
    assert again.asked("/cancel_order o1")


def test_linking() -> None:
    """A code counts once, for ten minutes, for who is on the lists; guesses are locked out; a newer code ends the
    older."""
    chat = Chat(kept=Kept())
    stale = chat.core.offer("u1", chat.now_ns)
    code = chat.core.offer("u1", chat.now_ns)
    assert "does not count" in told(chat.say(f"/start {stale}"))
    assert not chat.say(f"/start {code}", EVE)[1:]
    assert "you are ann, trader" in told(chat.say(f"/start {code.upper()}"))
    assert chat.kept.links["1"].user_id == "u1"
    assert "does not count" in told(chat.say(f"/start {code}", BOB))
    late = chat.core.offer("u2", chat.now_ns)
    chat.now_ns += 600 * SECOND_NS
    assert "does not count" in told(chat.say(f"/start {late}", BOB))
    good = chat.core.offer("u2", chat.now_ns)
    for guess in range(4):
        chat.say(f"/start {guess:020x}", 3)
        chat.now_ns += 20 * SECOND_NS
    chat.say("/start wrong", 3)
    chat.now_ns += 20 * SECOND_NS
    assert "does not count" in told(chat.say(f"/start {good}", 3))
    assert "3" not in chat.kept.links


def test_a_plan_that_trades_more_than_was_confirmed_stays() -> None:
    """/confirm_order names the most that may be traded."""
    core = Chat().core
    run = Run(chat_id=1, user_id=1, command="confirm_order", args="p1 100.5", methods=())
    assert core.too_large(run, [{"plan_id": "p1", "total_quote_amount": "100.5"}]) == ""
    assert "more than 100.5" in core.too_large(run, [{"plan_id": "p1", "total_quote_amount": "100.51"}])
    assert "no plan p1" in core.too_large(run, [])
    for bad in ("0", "-1", "NaN", "Infinity", "1e999999", "x", ""):
        with pytest.raises(BadArguments):
            amount(bad) if bad != "1e999999" else amount(bad * 5)


@pytest.mark.parametrize(
    "text",
    ["/opportunities no symbol", "/confirm_order p1", "/confirm_order p1 x", "/cancel_order a;b", "/status now",
     "/subscribe_alerts", "/subscribe_alerts loud", "/subscribe_alerts high <b>", "hello", "/nothing", ""],
)  # fmt: skip
def test_bad_words_are_answered(text: str) -> None:
    """With what is due, and nothing is asked of the table."""
    actions = Chat().say(text)
    assert not runs(actions)
    assert told(actions)


def test_preferences() -> None:
    """By severity and topic, per person, off again; only for those who may hear of alerts."""
    chat = Chat()
    chat.say("/subscribe_alerts high venue_down signals")
    chat.say("/subscribe_alerts low", BOB)
    event = {"event": "raised", "severity": "high", "rule_id": "venue_down", "scope": "venue:okx", "message": "<x>",
             "runbook": "r"}  # fmt: skip
    assert [say.chat_id for say in chat.core.on_alert(event)] == [ANN, BOB]
    assert "&lt;x&gt;" in chat.core.on_alert(event)[0].html
    assert [say.chat_id for say in chat.core.on_alert({**event, "severity": "medium"})] == [BOB]
    assert [say.chat_id for say in chat.core.on_alert({**event, "rule_id": "other"})] == [BOB]
    assert chat.core.on_alert({**event, "is_silenced": True}) == []
    assert chat.core.wants_signals(chat.now_ns) == [ANN]
    assert chat.core.wants_signals(chat.now_ns + SECOND_NS) == []
    chat.say("/subscribe_alerts off", BOB)
    chat.people["u1"] = Person("u1", "ann", Role.TRADER, False)
    assert chat.core.on_alert(event) == []


ROW = {
    "opp_id": "o", "symbol": "BTC-USDT", "venue_buy": "okx", "venue_sell": "kraken", "net_bps": 12.345,
    "spread_bps": 30.0, "profit_quote": 4.5, "quote_asset": "USDT", "qty": "0.25", "score": 0.7,
    "raised_ns": NOW_NS, "closed_ns": None, "close_reason": "",
    "signal": {"ttl_sec": "10", "buy_vwap": "100", "sell_vwap": "101", "impact_bps": 2.0, "symbol": "BTC-USDT"},
}  # fmt: skip


def test_a_signal_has_two_parts() -> None:
    """For people: what, until when, risk to reward; then the signal itself, raw, in a code block (system D)."""
    text = words.signal(ROW, NOW_NS)
    human, _, raw = text.partition("\n<pre>")
    assert "<b>BTC-USDT</b> +12.35 bps net" in human or "<b>BTC-USDT</b> +12.34 bps net" in human
    assert "expires 15:06:50 UTC" in human
    assert "risk to reward 1 : 891.09" in human
    assert '"impact_bps":2.0' in raw
    assert raw.endswith("</code></pre>")
    assert "(it has)" in words.signal(ROW, NOW_NS + 11 * SECOND_NS)
    assert words.opportunities([], 0) == "no opportunity lasts right now"
    assert words.opportunities([ROW, ROW], NOW_NS).splitlines()[-1].startswith("BTC-USDT okx &gt; kraken +12.3")


@given(st.text(max_size=200))
def test_markup_of_others_is_inert(text: str) -> None:
    """S38: whatever stands in a symbol, a message or an argument: no tag that is not ours."""
    told_all = [
        words.signal({**ROW, "symbol": text, "signal": {**ROW["signal"], "x": text}}, NOW_NS),  # type: ignore[dict-item]
        words.alert({"event": "raised", "severity": text, "message": text, "rule_id": text, "scope": text,
                     "runbook": text}),
        told(Chat().say(f"/halt {text}")),
        told(Chat().core.refused(Run(chat_id=1, user_id=1, command="halt", args="", methods=()), text)),
    ]  # fmt: skip
    for said in told_all:
        tags = {tag.split(">")[0] for tag in said.split("<")[1:]}
        assert tags <= {"b", "/b", "pre", "/pre", 'code class="language-json"', "/code"}


def test_moods() -> None:
    """One word for how it stands."""
    calm = {"trading_state": "ACTIVE", "opportunities_open": 0, "reasons": []}
    assert words.mood(calm, []).startswith("<b>calm")
    assert words.mood({**calm, "opportunities_open": 2}, []).startswith("<b>busy")
    assert words.mood(calm, [{"severity": "medium", "message": "x"}]).startswith("<b>watchful")
    assert words.mood({**calm, "trading_state": "REDUCING"}, []).startswith("<b>worried")
    assert words.mood(calm, [{"severity": "critical", "message": "x"}]).startswith("<b>alarmed")
    assert "spread" in words.lesson([])
    assert words.lesson(["Fee"]).startswith("<b>fee")


def test_what_is_kept_survives_and_is_closed_to_others(tmp_path: Path) -> None:
    """Mode 0600; a file that cannot be read is an error, not an empty one."""
    assert keeping.load(tmp_path) == Kept()
    chat = Chat()
    chat.say("/subscribe_alerts high")
    keeping.save(tmp_path, chat.kept)
    assert keeping.load(tmp_path) == chat.kept
    assert (tmp_path / keeping.FILE).stat().st_mode & 0o777 == 0o600
    (tmp_path / keeping.FILE).write_text("{")
    with pytest.raises(ValueError, match="truncated"):
        keeping.load(tmp_path)
