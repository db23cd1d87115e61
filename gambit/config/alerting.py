"""What people are told, and how: alerts, notification channels, the bot."""

from decimal import Decimal
from typing import Annotated, Literal

from gambit.config.bounds import Rule, Section, within


class TelegramSettings(Section, frozen=True, kw_only=True):
    """The Telegram bot. Who is not on both lists has no effect; an empty list is nobody."""

    enabled: Annotated[bool, Rule("Whether the bot runs (it needs the extra `telegram`).")] = False
    users: Annotated[tuple[int, ...], Rule("Telegram's ids of the people who may speak to it.")] = ()
    chats: Annotated[tuple[int, ...], Rule("Ids of the private chats it listens in: the same as the people's.")] = ()
    token: Annotated[
        str, Rule("Reference to the bot's token: `env:NAME`, `file:PATH`. Empty: `secret:telegram/bot_token`.")
    ] = ""
    base_url: Annotated[str, Rule("The Bot API. Empty: Telegram's own.")] = ""
    timeout_sec: Annotated[Decimal, within("0.1", "120", "Longest time a call may take.", "s")] = Decimal(10)


class NotifyChannel(Section, frozen=True, kw_only=True):
    """One way to people. What is secret is a reference: `env:NAME`, `file:PATH` or `secret:NAME`."""

    name: Annotated[str, Rule("Its name, `a-z0-9_-`.")]
    kind: Annotated[Literal["email", "slack", "telegram", "webhook", "apprise"], Rule("What it is.")]
    min_severity: Annotated[Literal["low", "medium", "high", "critical"], Rule("Least severity it is told of.")] = (
        "medium"
    )
    rules: Annotated[tuple[str, ...], Rule("Alert rules it is told of. Empty: every one.")] = ()
    resolved: Annotated[bool, Rule("Whether it is told when an alert is over.")] = True
    fallback: Annotated[str, Rule("The channel that is told where this one cannot be reached. Empty: none.")] = ""
    per_minute: Annotated[
        int, within("1", "600", "Most messages a minute; what comes faster is put together.", "messages")
    ] = 20
    url: Annotated[
        str, Rule("Slack, webhook, apprise: a reference to its address. Telegram: the Bot API, empty for its own.")
    ] = ""
    secret: Annotated[
        str, Rule("Reference to the webhook's shared secret, the bot's token (default `secret:telegram/bot_token`).")
    ] = ""
    chat_id: Annotated[str, Rule("Telegram: the chat.")] = ""
    host: Annotated[str, Rule("E-mail: the server.")] = ""
    port: Annotated[int, within("1", "65535", "E-mail: its port.", "TCP port")] = 587
    tls: Annotated[Literal["starttls", "tls", "none"], Rule("E-mail: how the connection is protected.")] = "starttls"
    user: Annotated[str, Rule("E-mail: the user to log in as. Empty: no login.")] = ""
    password: Annotated[str, Rule("E-mail: reference to the password.")] = ""
    sender: Annotated[str, Rule("E-mail: the address it is from.")] = ""
    to: Annotated[tuple[str, ...], Rule("E-mail: the addresses it goes to.")] = ()
    timeout_sec: Annotated[Decimal, within("0.1", "120", "Longest time one try may take.", "s")] = Decimal(10)
    allow_private: Annotated[
        bool, Rule("Let it reach this machine and private networks, and speak plain HTTP: a mail server next door.")
    ] = False


class NotifySettings(Section, frozen=True, kw_only=True):
    """How people are told of alerts."""

    group_ms: Annotated[
        int, within("0", "60000", "How long the first alert waits for others to be told with it.", "ms")
    ] = 300
    channels: Annotated[tuple[NotifyChannel, ...], Rule("Ways to people, as `[[notify.channels]]`.")] = ()


class AlertRule(Section, frozen=True, kw_only=True):
    """One condition worth telling about: a rule that is built in, changed, or one of your own."""

    rule: Annotated[str, Rule("Its name, `a-z0-9_`; that of a built-in rule changes that rule.")]
    enabled: Annotated[bool, Rule("Whether it is looked at.")] = True
    severity: Annotated[Literal["low", "medium", "high", "critical"] | None, Rule("How bad it is.")] = None
    message: Annotated[str, Rule("What is said; `{value}` and `{label}` are filled in. Empty: the rule's own.")] = ""
    metric: Annotated[str, Rule("The metric it watches, such as `gambit_feed_up`. Empty: the rule's own.")] = ""
    how: Annotated[
        Literal["value", "increase", "share", "p50", "p95", "p99"],
        Rule(
            "As it stands; a counter's increase within the window; of a histogram the share of observations beyond "
            "`beyond`, or a quantile."
        ),
    ] = "value"
    window_sec: Annotated[int, within("1", "86400", "The window of an increase, share or quantile.", "s")] = 60
    by: Annotated[tuple[str, ...], Rule("Labels to tell apart, the others are summed. Empty: all.")] = ()
    labels: Annotated[tuple[str, ...], Rule("Label values that a series must have, as `name=value`.")] = ()
    over: Annotated[str, Rule("A metric to divide by. Empty: none.")] = ""
    beyond: Annotated[Decimal, within("0", "1000000000", "For `share`: the bound, in the metric's unit.")] = Decimal(0)
    op: Annotated[Literal[">", ">=", "<", "<=", "==", "!="] | None, Rule("How it is compared; absent: `>`.")] = None
    threshold: Annotated[
        Decimal | None, within("-1000000000000", "1000000000000", "What it is compared with; absent: the rule's own.")
    ] = None
    clear: Annotated[
        Decimal | None,
        within("-1000000000000", "1000000000000", "It is over once this is passed back; absent: the threshold."),
    ] = None
    fact: Annotated[str, Rule("The kind of fact it waits for, such as `order.rejected`, in place of a metric.")] = ""
    where: Annotated[tuple[str, ...], Rule("What the fact's fields must be, as `name=value`; `*` is any text.")] = ()
    scope: Annotated[tuple[str, ...], Rule("Fields of the fact to tell apart.")] = ()
    count: Annotated[int, within("1", "10000", "How many such facts.", "facts")] = 1
    within_sec: Annotated[int, within("1", "86400", "Within how long.", "s")] = 60
    for_sec: Annotated[
        Decimal | None, within("0", "86400", "How long it has to hold; absent: the rule's own, else 0.", "s")
    ] = None
    clear_sec: Annotated[
        Decimal | None, within("0", "86400", "How long it has to be gone; absent: the rule's own, else 0.", "s")
    ] = None
    hold_sec: Annotated[
        Decimal | None, within("1", "604800", "How long a fact counts; absent: the rule's own, else 300.", "s")
    ] = None
    actions: Annotated[
        tuple[Literal["reduce", "halt"], ...], Rule("What is done to trading when it is raised: `reduce`, `halt`.")
    ] = ()


class AlertSettings(Section, frozen=True, kw_only=True):
    """What is worth telling about."""

    remind_min: Annotated[
        int, within("0", "10080", "A critical alert nobody took is told again after this; 0: never.", "min")
    ] = 30
    budget_action: Annotated[
        Literal["none", "reduce", "halt"],
        Rule(
            "What error budgets do to trading. `reduce`: a fast burn reduces. `halt`: and one that is used up halts. "
            "Only a person resumes."
        ),
    ] = "none"
    runbook_url: Annotated[
        str,
        Rule(
            "Where people read the runbook: the dashboard as they reach it, and `/runbook`. Messages and Prometheus "
            "rules lead there. Empty: they name the page in docs."
        ),
    ] = ""
    rules: Annotated[tuple[AlertRule, ...], Rule("Alert rules, as `[[alerts.rules]]`.")] = ()
