"""Channels of a configuration: what is wrong with one is named, and no secret stands in the file."""

from pathlib import Path

import pytest

from gambit.bootstrap.notifying import ChannelError, Secrets, open_channel
from gambit.config import ConfigError
from gambit.config.loading import load_layers
from gambit.vault import Vault

MAIL = '{name="m", kind="email", host="h", sender="a@b", to=["c@d"]}'


@pytest.mark.parametrize(
    ("channels", "said"),
    [
        (f"{MAIL}, {MAIL}", "has to be a name of its own"),
        ('{name="M!", kind="slack", url="env:X"}', "has to be a name of its own"),
        ('{name="s", kind="slack"}', "notify.channels[0].url is missing: slack needs it"),
        ('{name="t", kind="telegram"}', "chat_id is missing"),
        ('{name="w", kind="webhook", url="env:X"}', "secret is missing"),
        ('{name="s", kind="slack", url="https://hooks.example.org/S3CRET"}', "does not say where the secret is"),
        ('{name="s", kind="slack", url="env:X", fallback="s"}', "is not another channel"),
        ('{name="s", kind="slack", url="env:X", fallback="t"}', "is not another channel"),
        ('{name="p", kind="pigeon"}', "is not one of email, slack, telegram, webhook, apprise"),
    ],
)
def test_a_channel_that_cannot_be_is_named(channels: str, said: str) -> None:
    """With its place; the text that may be a secret is not repeated."""
    with pytest.raises(ConfigError) as caught:
        load_layers(None, {}, [f"notify.channels = [{channels}]"])
    text = "\n".join(map(str, caught.value.problems))
    assert said in text
    assert "S3CRET" not in text


def test_a_token_in_the_file_is_refused() -> None:
    """The bot's too."""
    with pytest.raises(ConfigError, match="does not say where the secret is"):
        load_layers(None, {}, ['telegram.token = "42:S3CRET"'])
    assert load_layers(None, {}, ['telegram.token = "env:BOT"']).config.telegram.token == "env:BOT"


def test_secrets_are_resolved_and_learned(tmp_path: Path) -> None:
    """From environment, file and vault; each is told to the redactor; what is missing is named without a value."""
    learned: list[str] = []
    tmp_path.chmod(0o700)
    vault = Vault.open(tmp_path, {}, lambda: 1)
    vault.put("telegram/bot_token", b"42:T")
    (tmp_path / "hook").write_text("https://hooks.example.org/x\n")
    (tmp_path / "hook").chmod(0o600)
    secrets = Secrets(tmp_path, {"PASS": "word"}, lambda: 1, vault, learned.append)
    references = ("env:PASS", f"file:{tmp_path / 'hook'}", "secret:telegram/bot_token")
    assert [secrets.text(one) for one in references] == ["word", "https://hooks.example.org/x", "42:T"]
    assert learned == ["word", "https://hooks.example.org/x", "42:T"]
    for missing in ("env:NONE", "file:/nowhere", "secret:none"):
        with pytest.raises(ChannelError, match=missing.partition(":")[2]):
            secrets.text(missing)


def test_a_webhooks_secret_is_one(tmp_path: Path) -> None:
    """Sixteen bytes at least."""
    channel = '{name="w", kind="webhook", url="env:URL", secret="env:SHORT"}'
    [wanted] = load_layers(None, {}, [f"notify.channels = [{channel}]"]).config.notify.channels
    secrets = Secrets(tmp_path, {"URL": "https://example.org/", "SHORT": "x" * 15}, lambda: 1)
    with pytest.raises(ChannelError, match="at least 16 bytes"):
        open_channel(wanted, secrets, lambda: 1)
