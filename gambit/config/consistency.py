"""What no single key can tell: spellings of symbols and addresses, and keys that have to agree with each other."""

import ipaddress
import re
from collections.abc import Iterator
from datetime import datetime
from urllib.parse import urlsplit

from gambit.config.lines import Path
from gambit.config.settings import ApiSettings, Config, Group

SYMBOL = re.compile(r"[^\s:,|-]+-[^\s:,|-]+(-[^\s:,|-]+)?")
BLACKOUT = re.compile(
    r"([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d|(?P<start>\d{4}-\d\d-\d\dT\d\d:\d\d)/(?P<end>\d{4}-\d\d-\d\dT\d\d:\d\d)"
)
KEY_PREFIX = re.compile(r"[a-z0-9]{2}")
ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:\d{1,5})?|https?://\[[0-9a-f:]+\](:\d{1,5})?")
REFERENCE = re.compile(
    r"secret:[a-z0-9]+([._-][a-z0-9]+)*(/[A-Za-z0-9]+([._-][A-Za-z0-9]+)*){0,3}|env:[A-Za-z_][A-Za-z0-9_]*|file:.+"
)
VENUE = re.compile(r"[a-z0-9]+([._-][a-z0-9]+)*")

Finding = tuple[Path, str]


def is_symbol(text: str) -> bool:
    """Whether a text is `BASE-QUOTE` or `BASE-QUOTE-SUFFIX` in upper case."""
    return SYMBOL.fullmatch(text) is not None and text == text.upper()


def inconsistencies(config: Config) -> Iterator[Finding]:
    """Every breach, as the path of the key and what is wrong with its value."""
    yield from _weights(config)
    yield from _symbols(("symbols",), config.symbols)
    yield from _groups(config.engine.groups)
    yield from _venues(config)
    yield from _aliases(config)
    yield from _order_path(config)
    yield from _api(config.api)
    yield from _channels(config)
    for i, reference in enumerate(config.api.webhook_secrets):
        yield from _reference(("api", "webhook_secrets", i), reference)
    yield from _address(("telegram", "base_url"), config.telegram.base_url, ("https", "http"))
    if config.alerts.runbook_url:
        yield from _address(("alerts", "runbook_url"), config.alerts.runbook_url, ("https", "http"))
    yield from _reference(("telegram", "token"), config.telegram.token)


def _weights(config: Config) -> Iterator[Finding]:
    weights = config.engine.ranking_weights
    total = weights.spread + weights.liquidity + weights.volatility
    if total != 1:
        yield ("engine", "ranking_weights"), f"add up to {total}, not to 1"


def _symbols(path: Path, symbols: tuple[str, ...]) -> Iterator[Finding]:
    for i, symbol in enumerate(symbols):
        if not is_symbol(symbol):
            yield (*path, i), f'= "{symbol}" is not a symbol: BASE-QUOTE[-SUFFIX], upper case'


def _groups(groups: tuple[Group, ...]) -> Iterator[Finding]:
    owners: dict[str, str] = {}
    names: set[str] = set()
    for i, group in enumerate(groups):
        path: Path = ("engine", "groups", i)
        if not group.name or "|" in group.name:
            yield (*path, "name"), f'= "{group.name}" is not a name: some text without |'
        if group.name in names:
            yield (*path, "name"), f'= "{group.name}" names a second group'
        names.add(group.name)
        if len(group.members) < 2:
            yield (*path, "members"), "are fewer than two books"
        for j, member in enumerate(group.members):
            yield from _member((*path, "members", j), member, group.name, owners)


def _member(path: Path, member: str, group: str, owners: dict[str, str]) -> Iterator[Finding]:
    venue, _, symbol = member.partition(":")
    if not VENUE.fullmatch(venue) or not is_symbol(symbol):
        yield path, f'= "{member}" is not a book: venue:BASE-QUOTE[-SUFFIX]'
    elif member in owners:
        yield path, f'= "{member}" is in group "{owners[member]}" already; a book is in at most one group'
    owners.setdefault(member, group)


def _venues(config: Config) -> Iterator[Finding]:
    for name, venue in config.venues.items():
        path: Path = ("venues", name)
        if not VENUE.fullmatch(name):
            yield path, "is not a venue's name: lower case letters, digits and hyphens"
        yield from _symbols((*path, "symbols"), venue.symbols)
        yield from _address((*path, "ws_url"), venue.ws_url, ("ws", "wss"))
        yield from _address((*path, "ws_private_url"), venue.ws_private_url, ("ws", "wss"))
        yield from _address((*path, "rest_url"), venue.rest_url, ("http", "https"))
        yield from _reference((*path, "api_key"), venue.api_key)
        yield from _reference((*path, "secret"), venue.secret)
        yield from _reference((*path, "passphrase"), venue.passphrase)


def _reference(path: Path, text: str) -> Iterator[Finding]:
    """What it holds may be the secret itself, and is not repeated."""
    if text and REFERENCE.fullmatch(text) is None:
        yield (
            path,
            "does not say where the secret is: secret:NAME (`gambit credentials add`), env:NAME or file:PATH; "
            "secrets stay out of the configuration",
        )


def _address(path: Path, url: str, schemes: tuple[str, ...]) -> Iterator[Finding]:
    if not url:
        return
    try:
        parts = urlsplit(url)
        is_whole = parts.scheme in schemes and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        is_whole = False
    if not is_whole:
        yield path, f"is not an address that starts with {schemes[0]}:// or {schemes[1]}://"
    elif parts.username is not None or parts.password is not None:
        yield path, "holds credentials; secrets stay out of the file (env:NAME, file:PATH or the encrypted store)"


def _aliases(config: Config) -> Iterator[Finding]:
    meanings: dict[tuple[str, str], str] = {}
    for i, alias in enumerate(config.assets.aliases):
        path: Path = ("assets", "aliases", i)
        if not alias.ticker or not alias.asset or "-" in alias.asset or alias.asset != alias.asset.upper():
            yield path, "wants a ticker and an asset, upper case without hyphen"
        if alias.venue and not VENUE.fullmatch(alias.venue):
            yield (*path, "venue"), f'= "{alias.venue}" is not a venue\'s name'
        known = meanings.setdefault((alias.venue, alias.ticker), alias.asset)
        if known != alias.asset:
            yield (*path, "asset"), f'= "{alias.asset}": {alias.ticker} means {known} already'


def _order_path(config: Config) -> Iterator[Finding]:
    execution = config.execution
    for i, text in enumerate(config.risk.blackouts):
        if not _is_blackout(text):
            yield ("risk", "blackouts", i), f'= "{text}" is neither HH:MM-HH:MM nor FROM/TO as ISO times, FROM first'
    if KEY_PREFIX.fullmatch(execution.key_prefix) is None:
        yield ("execution", "key_prefix"), f'= "{execution.key_prefix}" is not two characters of a-z, 0-9'
    if 0 < execution.dead_man_sec < 10:
        yield ("execution", "dead_man_sec"), "is below 10, the least that venues take; 0 turns it off"
    if execution.query_interval_ms > execution.query_interval_max_ms:
        yield ("execution", "query_interval_ms"), "is more than query_interval_max_ms"
    if execution.collar_bps > execution.loss_budget_bps:
        yield ("execution", "collar_bps"), "is more than loss_budget_bps"


def _api(api: ApiSettings) -> Iterator[Finding]:
    if api.tls and not (api.tls_cert and api.tls_key):
        yield ("api", "tls"), "= true wants api.tls_cert and api.tls_key"
    if api.enabled and not is_loopback(api.host) and not api.tls and not api.allow_plain_public:
        yield (
            ("api", "host"),
            f'= "{api.host}" is reached by others: serve TLS (api.tls), or set api.allow_plain_public = true '
            "where something in front of it does",
        )
    for i, origin in enumerate(api.cors_origins):
        if ORIGIN.fullmatch(origin) is None:
            yield ("api", "cors_origins", i), f'= "{origin}" is not an origin: http(s)://host[:port], no path, no *'


def is_loopback(host: str) -> bool:
    """Whether an address is this machine's own; a name other than localhost is not."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_blackout(text: str) -> bool:
    found = BLACKOUT.fullmatch(text)
    if found is None or found["start"] is None:
        return found is not None
    try:
        return datetime.fromisoformat(found["start"]) < datetime.fromisoformat(found["end"])
    except ValueError:
        return False


CHANNEL = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
NEEDS = {
    "email": ("host", "sender", "to"),
    "slack": ("url",),
    "telegram": ("chat_id",),
    "webhook": ("url", "secret"),
    "apprise": ("url",),
}


def _channels(config: Config) -> Iterator[Finding]:
    """Names once, fallbacks that exist, what each kind needs, and no secret in the file."""
    names = [channel.name for channel in config.notify.channels]
    for i, channel in enumerate(config.notify.channels):
        path: Path = ("notify", "channels", i)
        if CHANNEL.fullmatch(channel.name) is None or names.count(channel.name) > 1:
            yield (*path, "name"), f'= "{channel.name}" has to be a name of its own: a-z, 0-9, _ and -'
        if channel.fallback and (channel.fallback == channel.name or channel.fallback not in names):
            yield (*path, "fallback"), f'= "{channel.fallback}" is not another channel'
        for key in NEEDS[channel.kind]:
            if not getattr(channel, key):
                yield (*path, key), f"is missing: {channel.kind} needs it"
        secrets = ("secret", "password") if channel.kind == "telegram" else ("url", "secret", "password")
        for key in secrets:
            yield from _reference((*path, key), getattr(channel, key))
