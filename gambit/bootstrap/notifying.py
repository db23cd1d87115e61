"""The channels of a configuration, their secrets resolved, and the post that serves them."""

import random
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from gambit.bootstrap.alerting import Alerting
from gambit.config import Config
from gambit.config.alerting import NotifyChannel
from gambit.events import Fact
from gambit.events.feed import DeadLettered
from gambit.notify.channels import Channel, Poster, Slack, Telegram, Webhook
from gambit.notify.mail import Apprise, Mail, Server
from gambit.notify.outbox import Route
from gambit.notify.parcel import Item, Parcel
from gambit.notify.post import Post
from gambit.notify.signing import SECRET_BYTES_MIN
from gambit.runtime.clock import Clock
from gambit.runtime.daemon import Log
from gambit.runtime.keeping import Keeping
from gambit.runtime.ledger import Ledger
from gambit.surface.metrics import Registry
from gambit.vault import Vault, VaultError, resolve

BOT_API = "https://api.telegram.org"
BOT_TOKEN = "secret:telegram/bot_token"  # noqa: S105 - where it is, not what it is


class ChannelError(ValueError):
    """A channel that cannot be opened; the text names it and says what to change, and no secret."""


class Secrets:
    """Resolves references of the configuration; the vault is opened when it is first wanted, and `learn` hears every
    secret, so that no line of the log repeats one."""

    def __init__(
        self,
        state_dir: Path,
        environ: Mapping[str, str],
        now_ns: Callable[[], int],
        vault: Vault | None = None,
        learn: Callable[[str], object] = lambda _secret: None,
    ) -> None:
        self._environ = environ
        self._state_dir = state_dir
        self._now_ns = now_ns
        self._vault = vault
        self._learn = learn

    def text(self, reference: str) -> str:
        """The secret that a reference means. Raises ChannelError."""
        try:
            found = resolve(reference, self, self._environ)
        except (VaultError, OSError) as error:
            raise ChannelError(f"{reference}: {error}") from error
        self._learn(found)
        return found

    def get(self, name: str) -> bytes:
        """Of the vault. Raises VaultError."""
        self._vault = self._vault or Vault.open(self._state_dir, self._environ, self._now_ns)
        return self._vault.get(name)


def secrets_due(vault: Vault, now_ns: int) -> list[str]:
    """Which secrets are older than they should be, each in words that begin with its name."""
    return [
        f"{due.name} is {due.age_days} days old, {due.due_days} are its time" + (": overdue" if due.is_overdue else "")
        for due in vault.due(now_ns)
    ]


def build_post(
    config: Config, registry: Registry, ledger: Ledger, keeping: Keeping, clock: Clock, log: Log,
    alerting: Alerting, secrets: Secrets,
) -> Post:  # fmt: skip
    """The post of the configuration's channels; a channel whose secret is missing is left out and told of."""
    channels: dict[str, Channel] = {}
    for wanted in config.notify.channels:
        try:
            channels[wanted.name] = open_channel(wanted, secrets, clock.now_ns)
        except (ChannelError, ValueError) as error:
            log.error("a channel cannot be used", channel=wanted.name, error=str(error))
    post = Post(
        channels,
        [route_of(wanted) for wanted in config.notify.channels if wanted.name in channels],
        keeping.journal,
        Path(config.daemon.state_dir),
        now_ns=clock.now_ns,
        random=random.SystemRandom().random,
        group_ns=config.notify.group_ms * 1_000_000,
        on_done=_counted(registry, log),
        on_dead=_dead(ledger.fact, lambda: keeping.journal.head, clock, log),
        warn=lambda text, **fields: log.warning(text, **fields),
    )
    alerting.post = post
    for name in channels:
        registry["gambit_alert_deliveries_total"].of(name)
        registry["gambit_alert_delivery_failures_total"].of(name)
    return post


def open_channel(wanted: NotifyChannel, secrets: Secrets, now_ns: Callable[[], int]) -> Channel:
    """One channel. Raises ChannelError, ValueError for an address that is none."""
    timeout_sec = float(wanted.timeout_sec)
    poster = Poster(allow_private=wanted.allow_private, timeout_sec=timeout_sec)
    match wanted.kind:
        case "slack":
            return Slack(poster, secrets.text(wanted.url))
        case "webhook":
            secret = secrets.text(wanted.secret).encode()
            if len(secret) < SECRET_BYTES_MIN:
                raise ChannelError(f"{wanted.secret}: a webhook's secret has at least {SECRET_BYTES_MIN} bytes")
            return Webhook(poster, secrets.text(wanted.url), secret, now_ns)
        case "telegram":
            token = secrets.text(wanted.secret or BOT_TOKEN)
            return Telegram(poster, wanted.url or BOT_API, token, wanted.chat_id)
        case "apprise":
            return Apprise(secrets.text(wanted.url), timeout_sec)
    password = secrets.text(wanted.password) if wanted.password else ""
    server = Server(
        host=wanted.host, port=wanted.port, tls=wanted.tls, user=wanted.user, password=password,
        timeout_sec=timeout_sec, allow_private=wanted.allow_private,
    )  # fmt: skip
    return Mail(server, wanted.sender, wanted.to)


def route_of(wanted: NotifyChannel) -> Route:
    """What goes to a channel."""
    return Route(
        name=wanted.name,
        least=wanted.min_severity,
        rules=wanted.rules,
        fallback=wanted.fallback,
        tells_end=wanted.resolved,
        per_minute=wanted.per_minute,
    )


def _counted(registry: Registry, log: Log) -> Callable[[str, Parcel, str, int], None]:
    tries, failures = registry["gambit_alert_deliveries_total"], registry["gambit_alert_delivery_failures_total"]
    spans = registry["gambit_alert_delivery_seconds"]

    def done(channel: str, parcel: Parcel, error: str, now_ns: int) -> None:
        tries.of(channel).add()
        if error:
            failures.of(channel).add()
            log.warning("alerts did not arrive", channel=channel, alerts=len(parcel.items), error=error)
            return
        for item in parcel.items:
            spans.histogram(channel).observe(now_ns - item.at_ns)

    return done


def _dead(
    write: Callable[[Fact], int], head: Callable[[], int], clock: Clock, log: Log
) -> Callable[[Item, str, str], None]:
    """What nobody took becomes a dead letter of the topic alert.raised."""

    def dead(item: Item, channel: str, reason: str) -> None:
        letter = DeadLettered(
            letter_id=head() + 1, topic="alert.raised", venue="", conn=channel, reason=reason,
            recv_ns=clock.now_ns(), raw=msgspec.json.encode(item),
        )  # fmt: skip
        try:
            write(letter)
        except Exception as error:  # a journal that fails: the log is what is left
            log.error("an alert reached nobody", rule=item.alert.rule_id, message=item.alert.message, error=repr(error))

    return dead
