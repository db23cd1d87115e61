"""What is read and what is told through the routes, over a table of methods that remembers its calls."""

import re
from typing import Any

import msgspec
import pytest
from openapi_spec_validator import validate

from gambit.access.permissions import Role
from gambit.alerts.case import AlertRow
from gambit.alerts.catalogue import BUILT_IN
from gambit.surface.rpc import Forbidden, Refused
from gambit.surface.views import OpportunityView
from gambit.web.desk import OrderView, PlanView
from gambit.web.openapi import document
from gambit.web.people import UserView
from gambit.web.route import Route
from gambit.web.routes import ROUTES
from gambit.web.runbook import rendered
from gambit.web.samples import wanted
from tests.web.answers import BOOK, ORDER, answers
from tests.web.rig import rig

# product.md, "Tables": what the outside may rely on in every reading, of the CLI as of the API. No hash of a password.
COLUMNS = {
    OpportunityView: "opp_id symbol base_asset quote_asset venue_buy venue_sell spread_bps score ttl_sec created_at "
    "raw_signal_id",
    PlanView: "plan_id opp_id status risk_flags total_quote_amount created_at updated_at",
    OrderView: "order_id plan_id user_id venue symbol side qty price status idempotency_key created_at updated_at",
    AlertRow: "alert_id rule_id severity message user_id created_at resolved_at",
    UserView: "user_id email status created_at",
}


@pytest.mark.parametrize("row", COLUMNS)
def test_rows_have_the_names_of_their_tables(row: Any):
    """A row of a reading has every column of its table under the column's name."""
    assert set(COLUMNS[row].split()) - set(row.__struct_fields__) == set()


def test_the_document_is_openapi_3_1():
    """Every route is in it, and a validator has nothing to say."""
    told = document(ROUTES, "1")
    validate(told)
    assert {(route.method.lower(), route.path) for route in ROUTES} == {
        (method, path) for path, methods in told["paths"].items() for method in methods
    }


async def test_the_manual_is_a_page_without_a_script():
    """It names every path, under a policy that lets no script run."""
    async with rig() as door:
        page = await door.ask("GET", "/docs")
        assert page.status == 200
        assert [route.path for route in ROUTES if route.path.encode() not in page.raw] == []
        assert b"<script" not in page.raw
        assert page.raw.count(b"curl -s ") >= len(ROUTES)
        ids = re.findall(rb" id='([^']+)'", page.raw)
        assert (len(ids), set(re.findall(rb"href='#([^']+)'", page.raw)) - set(ids)) == (len(set(ids)), set())
        assert "script-src" not in page.headers["Content-Security-Policy"]
        assert page.headers["Content-Security-Policy"].startswith("default-src 'none'")


async def test_the_runbook_is_read_where_the_alert_is() -> None:
    """Every page is there and leads to no page that is not; what is no page says where they are."""
    async with rig() as door:
        index = await door.ask("GET", "/runbook/index")
        assert index.status == 200
        assert index.headers["Content-Type"].startswith("text/html")
        assert index.headers["Content-Security-Policy"].startswith("default-src 'none'")
        names = set(re.findall(rb"href='/runbook/([a-z_]+)'", index.raw))
        assert names >= {rule.rule_id.encode() for rule in BUILT_IN}
        for name in names:
            page = await door.ask("GET", f"/runbook/{name.decode()}")
            assert (page.status, b"<script" in page.raw) == (200, False)
            assert set(re.findall(rb"href='/runbook/([a-z_]+)'", page.raw)) <= names
        halted = (await door.ask("GET", "/runbook/halted")).raw.decode()
        assert "<h1>halted</h1>" in halted
        assert "<pre>gambit status\n" in halted
        assert "<code>gambit resume --reason ...</code>" in halted
        missing = await door.ask("GET", "/runbook/nobodys_rule")
        assert missing.status == 404
        assert "/runbook/index" in missing.body["detail"]
        assert (await door.ask("GET", "/runbook/..%2fsecurity")).status in (404, 422)


def test_what_a_runbook_page_says_is_text() -> None:
    """Paragraphs, lists, fences and code; markup in it is shown, not done."""
    text = (
        "# a <b>\n\none\nline `x < y`\n- [halted](halted.md), [more](../alerts.md)\n\n"
        "```sh\ncat <a>\n\n# no head\n```\nend\n"
    )
    page = rendered("a", text).decode()
    assert page.partition("<main>")[2] == (
        "<h1>a &lt;b&gt;</h1><p>one line <code>x &lt; y</code></p>"
        "<p>&bull; <a href='/runbook/halted'>halted</a>, more</p><pre>cat &lt;a&gt;\n\n# no head</pre><p>end</p>"
        "</main></body></html>"
    )


@pytest.mark.parametrize("route", [route for route in ROUTES if route.body is not None], ids=lambda one: one.named)
def test_the_manuals_examples_can_be_sent(route: Route):
    """The body that it shows is one that the route takes."""
    told = document(ROUTES, "1")
    schema = told["paths"][route.path][route.method.lower()]["requestBody"]["content"]["application/json"]["schema"]
    assert route.body is not None
    msgspec.convert(wanted(schema, told["components"]["schemas"]), route.body)


@pytest.mark.parametrize(
    ("path", "method", "params"),
    [
        ("/status", "status", {}),
        ("/market/snapshot?symbol=BTC-USDT&venue=okx", "books", {"symbol": "BTC-USDT", "venue": "okx"}),
        ("/arb/opportunities?open_only=true&venue=okx", "opportunities", {"open_only": True, "venue": "okx"}),
        ("/arb/scorecard", "scorecard", {}),
        ("/orders?status=filled&since_ns=5", "orders", {"status": "filled", "since_ns": 5}),
        ("/orders/o1", "order.show", {"order_id": "o1"}),
        ("/plans?symbol=BTC-USDT", "plans", {"symbol": "BTC-USDT"}),
        ("/positions", "positions", {}),
        ("/alerts?severity=high&scope=venue:okx", "alerts", {"severity": "high", "scope": "venue:okx"}),
        ("/silences", "alert.silences", {}),
        ("/slo", "slo", {}),
        ("/pnl", "pnl", {}),
    ],
)
async def test_reads(path: str, method: str, params: dict[str, Any]):
    """Each goes to its method with the filters as they were sent, and is versioned."""
    async with rig() as door:
        door.answers |= answers()
        reply = await door.ask("GET", path, await door.token(Role.TRADER))
        assert reply.status == 200, reply.body
        assert reply.body["schema_version"] == "1"
        name, given, who = door.calls[-1]
        assert (name, who.name) == (method, "trader@desk")
        assert {key: getattr(given, key) for key in params} == params


async def test_lists_come_in_parts():
    """Each part leads to the next; the last one to nothing; a cursor of something else is an error."""
    async with rig() as door:
        token = await door.token(Role.TRADER)
        door.answers["orders"] = [ORDER | {"order_id": f"o{at}"} for at in range(5)]
        found, cursor = [], ""
        while cursor is not None:
            reply = await door.ask("GET", f"/orders?limit=2{cursor and '&cursor=' + cursor}", token)
            found += [row["order_id"] for row in reply.body["items"]]
            cursor = reply.body["next_cursor"]
        assert found == ["o0", "o1", "o2", "o3", "o4"]
        assert (await door.ask("GET", "/orders?cursor=nobody", token)).status == 422


async def test_who_has_it_already_is_told_so():
    """304 with no body for the tag of the same list; another list has another tag."""
    async with rig() as door:
        door.answers |= answers()
        token = await door.token(Role.TRADER)
        first = await door.ask("GET", "/orders", token)
        again = await door.ask("GET", "/orders", token, headers={"If-None-Match": first.headers["ETag"]})
        assert (again.status, again.raw) == (304, b"")
        door.answers["orders"] = []
        changed = await door.ask("GET", "/orders", token, headers={"If-None-Match": first.headers["ETag"]})
        assert changed.status == 200


async def test_an_answer_that_may_be_incomplete_says_so():
    """Feeds that are down and books that are not synced are named; nothing is left out or blank."""
    async with rig(quality=lambda: ["okx: down (timeout)"]) as door:
        door.answers |= answers()
        door.answers["books"] = [BOOK, BOOK | {"venue": "okx", "synced": False, "bid": None}]
        token = await door.token(Role.ADMIN)
        for path in ("/market/snapshot", "/arb/opportunities", "/orders", "/plans", "/positions", "/pnl"):
            body = (await door.ask("GET", path, token)).body
            assert body["degraded"] is True
            assert "okx: down (timeout)" in body["data_quality"]
        assert len((await door.ask("GET", "/market/snapshot", token)).body["books"]) == 2


async def test_what_is_not_there_is_404():
    """A symbol, an order, a plan."""
    async with rig() as door:
        door.answers |= answers() | {"books": [], "order.show": None, "plans": []}
        token = await door.token(Role.ADMIN)
        for method, path in (
            ("GET", "/market/snapshot?symbol=NO-PE"),
            ("GET", "/arb/opportunities?symbol=NO-PE"),
            ("GET", "/orders/none"),
            ("DELETE", "/orders/none"),
            ("POST", "/alerts/none/ack"),
            ("DELETE", "/silences/none"),
            ("POST", "/plans/none/approve"),
        ):
            assert (await door.ask(method, path, token)).status == 404, path


async def test_what_is_told():
    """Decisions reach their method with the caller; a refusal of the desk is a conflict with its words."""
    async with rig() as door:
        door.answers |= answers()
        token = await door.token(Role.ADMIN)
        for path, body, method, status in (
            ("/control/halt", {"reason": "why"}, "halt", 200),
            ("/control/reduce", {}, "reduce", 200),
            ("/control/resume", {}, "resume", 200),
            ("/control/arm", None, "arm", 200),
            ("/control/disarm", {}, "disarm", 200),
            ("/plans/p1/approve", None, "plan.approve", 202),
            ("/plans/p1/reject", None, "plan.reject", 202),
            ("/orders", {"plan_id": "p1"}, "plan.approve", 202),
            ("/alerts", {"message": "look"}, "alert.create", 201),
            ("/alerts/al1/ack", None, "alert.ack", 200),
            ("/alerts/al1/resolve", None, "alert.resolve", 200),
            ("/silences", {"rule_id": "r1", "for_sec": 60}, "alert.silence", 201),
        ):
            reply = await door.ask("POST", path, token, body)
            assert (reply.status, door.calls[-1][0]) == (status, method), reply.body
        assert (await door.ask("DELETE", "/orders/o1", token)).status == 202
        assert door.calls[-1][0] == "order.cancel"
        assert (await door.ask("DELETE", "/silences/s1", token)).status == 200
        assert door.calls[-1][0] == "alert.unsilence"
        door.answers["order.cancel"] = refuse
        refused = await door.ask("DELETE", "/orders/o1", token)
        assert (refused.status, refused.body["detail"]) == (409, "o1: no live order")
        door.answers["reduce"] = forbid
        forbidden = await door.ask("POST", "/control/reduce", token, {})
        assert (forbidden.status, forbidden.body["code"]) == (403, "second_factor")


async def test_a_single_order_past_the_gates_cannot_be_worded():
    """An order is part of a plan: a side and a price are unknown fields."""
    async with rig() as door:
        body = {"venue": "okx", "symbol": "BTC-USDT", "side": "buy", "qty": "1", "price": "1"}
        assert (await door.ask("POST", "/orders", await door.token(Role.TRADER), body)).status == 422
        assert door.calls == []


def refuse(_params: Any) -> Any:
    """As the daemon does."""
    raise Refused("o1: no live order")


def forbid(_params: Any) -> Any:
    """As the daemon does to who may not resume."""
    raise Forbidden("leaving HALTED is resuming", "second_factor")
