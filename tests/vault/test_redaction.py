"""Values that are known appear in nothing that passes, however they are spelled."""

import json
from urllib.parse import quote, urlencode

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from gambit.vault import MASK, Redactor

VALUE = 'a+b/c="d"\\e==ü'


@pytest.mark.parametrize(
    "spelled",
    [VALUE, json.dumps(VALUE, ensure_ascii=False), quote(VALUE, safe=""), urlencode({"x": VALUE}), f"x{VALUE}y{VALUE}"],
)
def test_a_value_is_masked_as_it_is_and_as_others_write_it(spelled: str) -> None:
    redactor = Redactor()
    redactor.learn(VALUE)
    assert "a+b" not in redactor.text(spelled)
    assert "a%2Bb" not in redactor.text(spelled)
    assert MASK in redactor.text(spelled)
    assert redactor.raw(spelled.encode()) == redactor.text(spelled).encode()


def test_a_key_in_lines_is_masked_line_by_line() -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    redactor = Redactor()
    redactor.learn(pem)
    body = pem.splitlines()[1]
    assert body not in redactor.text(f"cannot load {body}")
    assert body not in redactor.text(repr(pem))


def test_short_values_and_other_texts_are_left_alone() -> None:
    redactor = Redactor()
    redactor.learn("short")
    redactor.learn("a longer secret")
    text = b'{"note":"short, and nothing else"}'
    assert redactor.raw(text) is text
    assert redactor.masked({"a": ["a longer secret", 1, None], "api_key": "x"}) == {
        "a": [MASK, 1, None],
        "api_key": MASK,
    }
