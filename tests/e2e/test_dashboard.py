"""The dashboard in a browser, against a real daemon on simulated exchanges: what a person sees and does."""

import decimal
import functools
import os
import random
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import pyotp
import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

from gambit.access.permissions import Role
from gambit.config import Config
from gambit.runtime.daemon import Daemon
from gambit.sim.world import Scenario
from gambit.web import vendor
from tests.e2e.live import SYMBOLS, config_for, exchanges, running
from tests.tools import free_port, program

pytestmark = pytest.mark.timeout(300)

ARGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
PATIENCE_MS = 60_000
expect.set_options(timeout=PATIENCE_MS)
EMAIL, PASSWORD = "trader@desk.example", "a passphrase of some length"
BUSY = Scenario(symbols=SYMBOLS, dislocations_per_s=2.0)
# What a policy forbids is told to the page as an event; counted from before its first script runs.
COUNT_VIOLATIONS = (
    "window.violations = []; addEventListener('securitypolicyviolation', e => violations.push(e.blockedURI))"
)


@asynccontextmanager
async def browser() -> AsyncIterator[Browser]:
    """Debian's Chromium; skips where there is none."""
    path = program("chromium", "chromium")
    if path is None:
        pytest.skip("there is no chromium on this machine")
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=path, args=ARGS)
        yield chromium
        await chromium.close()


class Watched:
    """A page, and what its console complained of."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        page.set_default_timeout(PATIENCE_MS)
        page.on(
            "console", lambda line: self.complaints.append(line.text) if line.type in ("error", "warning") else None
        )
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    async def is_clean(self) -> None:
        """Nothing was complained of, and nothing violated the policy."""
        assert await self.page.evaluate("window.violations") == []
        if not vendor.is_complete():  # a browser tells of the library that is not there
            self.complaints = [line for line in self.complaints if "404" not in line]
        assert self.complaints == []

    async def says(self, selector: str, text: str) -> None:
        """Wait until an element has this text in it."""
        await expect(self.page.locator(selector)).to_contain_text(text, timeout=PATIENCE_MS)


async def opened(chromium: Browser, *, width: int = 1440, height: int = 900, is_phone: bool = False) -> Watched:
    """An empty page of a fresh profile."""
    context = await chromium.new_context(
        viewport={"width": width, "height": height}, has_touch=is_phone, is_mobile=is_phone,
        color_scheme="light" if is_phone else "dark",
    )  # fmt: skip
    page = await context.new_page()
    await page.add_init_script(COUNT_VIOLATIONS)
    return Watched(page)


async def logged_in(watched: Watched, daemon: Daemon, role: Role) -> str:
    """By a one-use link; gives the user's id."""
    access = daemon.parts.access
    user = await access.people.add(f"{role.value}@desk.example", PASSWORD, role)
    await watched.page.goto(f"{daemon.parts.web_address()}/#ticket={access.logins.ticket(user.user_id)}")
    await watched.page.wait_for_selector("#desk", state="visible")
    return user.user_id


async def test_a_trader_logs_in_watches_halts_and_the_page_survives_a_restart(tmp_path: Path) -> None:
    """Login, live updates, keyboard, halt with confirmation, a daemon that goes and one that comes."""
    port = free_port()
    async with exchanges(BUSY) as venues, browser() as chromium:
        config = config_for(venues, tmp_path, f"api.port = {port}")
        watched = await opened(chromium)
        page = watched.page
        async with running(config) as (daemon, _):
            await daemon.parts.access.people.add(EMAIL, PASSWORD, Role.TRADER)
            await page.goto(daemon.parts.web_address())
            await page.wait_for_selector("#login", state="visible")
            await watched.is_clean()
            await _log_in(watched)
            await _watch(watched)
            await watched.is_clean()
            await _halt(watched, daemon)
            await watched.is_clean()
        await page.wait_for_selector("html[data-link=down]")
        await watched.says("#notice", "No connection to the daemon")
        await watched.says("#state-text", "when last seen")
        async with running(config) as (daemon, _):
            await page.wait_for_selector("html[data-link=live]")
            await watched.says("#state-name", "HALTED")
            await watched.says("#p-feeds .count", "5 of 5 up")
            assert await page.evaluate("window.violations") == []
            await _log_out(watched)


async def _log_in(watched: Watched) -> None:
    page = watched.page
    await page.fill("[name=email]", EMAIL)
    await page.fill("[name=password]", "something else")
    await page.click("#login-form button")
    await watched.says("#login-error", "not right")
    assert [line for line in watched.complaints if "401" not in line and "404" not in line] == []
    watched.complaints.clear()  # a browser says of every 401 that it was one
    await page.fill("[name=password]", PASSWORD)
    await page.keyboard.press("Enter")
    await page.wait_for_selector("html[data-link=live]")


async def _watch(watched: Watched) -> None:
    """State, venues, opportunities, orders, figures, charts: all there, and moving."""
    page = watched.page
    await watched.says("#state-name", "ACTIVE")
    await watched.says("#mode", "PAPER")
    await watched.says("#p-feeds .count", "5 of 5 up")
    await page.wait_for_selector("#p-opportunities tbody tr")
    await page.wait_for_selector("#p-orders tbody tr")
    await page.wait_for_selector("#p-plans tbody tr")
    frames = page.locator(".figure", has_text="Frames/s").locator("b")
    await expect(frames).to_have_text(re.compile("[0-9]"), timeout=PATIENCE_MS)
    await _draw(watched)
    await watched.says("#p-score .note", "Does a higher score win more often?")
    await page.keyboard.press("/")
    await page.keyboard.type("kraken")
    await expect(page.locator("#p-feeds tbody tr")).to_have_count(1)
    await page.keyboard.press("Escape")
    await expect(page.locator("#p-feeds tbody tr")).to_have_count(5)
    await page.keyboard.press("?")
    await watched.says("#dialog", "Halt all trading")
    await page.keyboard.press("Escape")
    assert await page.locator("#resume").is_hidden()  # that is for admins


async def _draw(watched: Watched) -> None:
    """Charts by their library where it was fetched, elsewhere plainly."""
    if vendor.is_complete():
        await watched.page.wait_for_selector("#p-charts canvas")
        return
    assert not os.environ.get(vendor.REQUIRED)
    await watched.page.wait_for_selector("#p-charts svg path")


async def _halt(watched: Watched, daemon: Daemon) -> None:
    page = watched.page
    await page.keyboard.press("h")
    await page.keyboard.press("Escape")
    assert daemon.parts.switch.state == "ACTIVE"
    await page.click("#halt")
    await page.fill("#dialog [name=reason]", "a test says so")
    await page.click("#dialog button.danger")
    await watched.says("#state-name", "HALTED")
    await watched.says("#state-text", "a test says so")
    kept = daemon.parts.switch.kept
    assert (kept.state, kept.reason, kept.by) == ("HALTED", "a test says so", EMAIL)


async def _log_out(watched: Watched) -> None:
    page = watched.page
    await page.click("#who")
    await page.click("#dialog button.primary")
    await page.wait_for_selector("#login", state="visible")
    await expect(page.locator("#p-orders tbody tr")).to_have_count(0, timeout=PATIENCE_MS)


async def test_a_phone_shows_it_all_and_halts_with_one_confirmed_tap(tmp_path: Path) -> None:
    """390 pixels wide: nothing to scroll sideways, HALT in reach of the thumb, one tap and one confirmation."""
    async with (
        exchanges(BUSY) as venues,
        browser() as chromium,
        running(config_for(venues, tmp_path)) as (daemon, _),
    ):
        watched = await opened(chromium, width=390, height=844, is_phone=True)
        page = watched.page
        await logged_in(watched, daemon, Role.ADMIN)
        await page.wait_for_selector("#p-opportunities tbody tr")
        wide, shown = await page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert wide <= shown
        inside = "[...document.querySelectorAll('.panel:not(#p-quotes) .body')].map(e => e.scrollWidth - e.clientWidth)"
        assert max(await page.evaluate(inside)) <= 0
        await page.tap("#halt-thumb")
        await page.tap("#dialog button.danger")
        await watched.says("#state-name", "HALTED")
        assert daemon.parts.switch.state == "HALTED"
        await page.tap("#resume")
        await page.tap("#dialog button.primary")
        await watched.says("#state-name", "ACTIVE")
        assert await page.evaluate("fetch('/manifest.webmanifest').then(r => r.json()).then(m => m.display)") == (
            "standalone"
        )
        await watched.is_clean()


async def test_a_viewer_sees_no_orders_and_no_buttons(tmp_path: Path) -> None:
    """What a role may not see is not there, what it may not do is not offered; a venue that fails is told."""
    async with exchanges(Scenario(symbols=SYMBOLS)) as venues, browser() as chromium:
        config: Config = config_for(venues, tmp_path)
        async with running(config) as (daemon, _):
            watched = await opened(chromium)
            page = watched.page
            user_id = await logged_in(watched, daemon, Role.VIEWER)
            await watched.says("#p-feeds .count", "5 of 5 up")
            for hidden in ("#halt", "#reduce", "#resume", "#p-orders", "#p-plans", "#p-account", "#p-opportunities"):
                assert await page.locator(hidden).is_hidden(), hidden
            daemon.trouble("a part broke, says a test")
            await watched.says("#notice", "a part broke, says a test")
            await watched.says("#state-name", "HALTED")
            await watched.is_clean()
            await _decimals_are_exact(page)
            await daemon.parts.access.people.set_status(user_id, "suspended")
            await page.wait_for_selector("#login", state="visible")


async def test_the_page_answers_invites_and_asks_for_a_second_factor(tmp_path: Path) -> None:
    """Four answers in plain words, quotes with the best ones marked, what became of opportunities; an admin invites,
    the person chooses a password; a second factor is set up on the page, and a login asks for its code."""
    async with (
        exchanges(BUSY) as venues,
        browser() as chromium,
        running(config_for(venues, tmp_path)) as (daemon, _),
    ):
        watched = await opened(chromium)
        page = watched.page
        await logged_in(watched, daemon, Role.ADMIN)
        await _answers(watched)
        guest = await opened(chromium, width=390, height=844, is_phone=True)
        await _invite(watched, guest)
        await _second_factor(watched)
        await page.click("#who")
        await page.click("#dialog button.primary")
        await page.fill("[name=email]", "admin@desk.example")
        await page.fill("[name=password]", PASSWORD)
        await page.keyboard.press("Enter")
        await page.wait_for_selector("#login-code", state="visible")
        assert await page.evaluate("window.violations") == []
        assert await guest.page.evaluate("window.violations") == []


async def _answers(watched: Watched) -> None:
    page = watched.page
    for name, answer in (("trading", "Yes"), ("quotes", "Yes"), ("earning", "today"), ("broken", "")):
        await watched.says(f"#a-{name}", answer)
    await expect(page.locator("#p-quotes .quote .best")).not_to_have_count(0, timeout=PATIENCE_MS)
    await page.wait_for_selector("#p-funnel tbody tr")
    await page.wait_for_selector("#p-account table >> nth=1")
    await page.click("#p-orders tbody tr td:first-child")
    await watched.says("#dialog", "gambit explain")
    await page.keyboard.press("Escape")
    history = await page.evaluate("import('/model.js').then((m) => m.model.history.series.result)")
    assert [value for value in history if value is not None]
    await _plans_are_worth_what_they_earned(page)
    await page.click("#p-charts button[value='24h']")
    await page.wait_for_selector("#p-charts button[value='24h'][aria-pressed=true]")
    await page.click("#halt")
    await page.fill("#dialog [name=reason]", "the test says so")
    await page.click("#dialog button.danger")
    await watched.says("#a-trading", "No: HALTED")
    await watched.says("#a-trading", "the test says so")
    await page.click(".alert.critical .text >> text=trading is halted")
    assert await page.get_attribute("#dialog dd a", "href") == "/runbook/halted"
    await page.click("#dialog button.primary")
    await watched.says("#toast", "you are on it")


async def _plans_are_worth_what_they_earned(page: Page) -> None:
    """The result of a plan is what all of it is worth, dust and fees in coins too, and not one asset's part."""
    ended = "(p) => p.end && Object.keys(p.result).length"
    script = f"import('/model.js').then((m) => [...m.model.plans.values()].filter({ended}).at(-1) ?? null)"
    await page.wait_for_function(script)
    newest = await page.evaluate(script)
    cell = page.locator(f"#p-plans tr:has([title='{newest['plan_id']}']) td.num").nth(2)
    shown = float(re.sub(r"[^0-9.]", "", await cell.inner_text()))
    assert shown == pytest.approx(abs(float(newest["value"])), abs=0.006)


async def _invite(watched: Watched, guest: Watched) -> None:
    page = watched.page
    await page.click("#who")
    await page.click("#dialog >> text=People")
    await page.click("#dialog >> text=Invite somebody")
    await page.fill("#dialog [name=email]", "bob@desk.example")
    await page.select_option("#dialog select", "trader")
    await page.click("#dialog button.primary")
    link = await page.input_value("#dialog input[readonly]")
    await page.keyboard.press("Escape")
    await guest.page.goto(link)
    for name in ("password", "again"):
        await guest.page.fill(f"#welcome [name={name}]", PASSWORD)
    await guest.page.tap("#welcome button.primary")
    await guest.says("#toast", "Your password is set")
    await guest.page.fill("#login [name=password]", PASSWORD)
    await guest.page.tap("#login button")
    await guest.says("#who", "trader")


async def _second_factor(watched: Watched) -> None:
    page = watched.page
    await page.click("#who")
    await page.click("#dialog >> text=Set up second factor")
    secret = (await page.inner_text(".key-text")).replace(" ", "")
    await page.fill("#dialog [name=code]", pyotp.TOTP(secret).now())
    await page.click("#dialog button.primary")
    await watched.says("#toast", "Second factor on")


async def _decimals_are_exact(page: Page) -> None:
    """What the page makes of decimal texts is what decimal arithmetic makes of them."""
    context = decimal.Context(prec=80, rounding=decimal.ROUND_HALF_UP)
    chance = random.Random(7)
    texts = [
        f"{chance.choice(['', '-'])}{chance.randrange(10**k)}.{chance.randrange(10**k):0{k}d}" for k in range(1, 16)
    ]
    found = await page.evaluate(
        """async (texts) => {
            const m = await import("/decimal.js");
            return texts.map((t, i) => [m.fixed(t, 2), m.times(t, texts[0]), m.sum(texts.slice(0, i + 1)), m.sign(t)]);
        }""",
        texts,
    )
    for place, (text, (fixed, product, total, sign)) in enumerate(zip(texts, found, strict=True)):
        exact = Decimal(text)
        plain = fixed.replace("\N{THIN SPACE}", "").replace("\N{MINUS SIGN}", "-")
        assert Decimal(plain) == exact.quantize(Decimal("0.01"), context=context), text
        assert Decimal(product) == context.multiply(exact, Decimal(texts[0])), text
        assert Decimal(total) == functools.reduce(context.add, map(Decimal, texts[: place + 1])), text
        assert sign == exact.compare(Decimal(0)), text
