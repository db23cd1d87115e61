"""Signatures, held against the vectors of the venues' own documents and of independent signers."""

import base64
import json

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from gambit.venues import signing
from gambit.venues.signing import UnusableKey, binance_signer, binance_ws_payload, keyed

BINANCE_KEY = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"
BINANCE_SECRET = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
WIDE_DIGITS = "".join(chr(0xFF10 + digit) for digit in range(1, 7))  # of the documents' non-ASCII vectors
OKX = keyed(b"22582BD0CFF14C41EDBF1AB98506286D")
BYBIT = keyed(b"gambitDocSecret01")
COINBASE_NAME = "organizations/org-1/apiKeys/key-1"
COINBASE_URI = "GET api.coinbase.com/api/v3/brokerage/accounts"
COINBASE_NONCE = "00112233445566778899aabbccddeeff"
# Header and claims are the same for both algorithms but for `alg`.
CLAIMS = (
    "eyJzdWIiOiJvcmdhbml6YXRpb25zL29yZy0xL2FwaUtleXMva2V5LTEiLCJpc3MiOiJjZHAiLCJuYmYiOjE3MDAwMDAwMDAsImV4cCI6MTcwMDAwMD"
    "EyMCwidXJpIjoiR0VUIGFwaS5jb2luYmFzZS5jb20vYXBpL3YzL2Jyb2tlcmFnZS9hY2NvdW50cyJ9"
)
HEAD_REST = (
    "IsImtpZCI6Im9yZ2FuaXphdGlvbnMvb3JnLTEvYXBpS2V5cy9rZXktMSIsIm5vbmNlIjoiMDAxMTIyMzM0NDU1NjY3Nzg4OTlhYWJiY2NkZGVlZmYi"
    "LCJ0eXAiOiJKV1QifQ"
)
EDDSA_TOKEN = (
    f"eyJhbGciOiJFZERTQS{HEAD_REST}.{CLAIMS}."
    "Y_s_-ErraA6YBFllcfiHVoYt3qhVWVSDUrfAlJXDx2kBfjF_-VSjWy9e09RBBYWNirCbNF5uOLPMHMSr1yj3Bg"
)
ES256_TOKEN = (
    f"eyJhbGciOiJFUzI1Ni{HEAD_REST}.{CLAIMS}."
    "AUhHryO-msyclDW3amE9KgWoA41cGzG0YhAF_Zk6OSka4xhnsgXMjfzlmrNDkisb1-b5UIybOlhzi-KQzxL78g"
)
ES256_PUBLIC = ("Rxw-dYxJBChbun5TEY7Q9SSt6wdX0lvS-Oew1236cUw", "3VIPesqKi5F6zDf1HejwybvjrYWDgucC3CWhLQn3qFg")


def pem(key: signing.PrivateKey) -> str:
    """A private key as a person pastes it."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def unpadded(text: str) -> bytes:
    """base64url without its padding."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def verified(token: str, public: ec.EllipticCurvePublicKey) -> dict[str, object]:
    """The claims of an ES256 token. Raises InvalidSignature."""
    head, claims, signature = token.split(".")
    raw = unpadded(signature)
    r, s = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
    public.verify(encode_dss_signature(r, s), f"{head}.{claims}".encode(), ec.ECDSA(hashes.SHA256()))
    found: dict[str, object] = json.loads(unpadded(claims))
    return found


@pytest.mark.parametrize(
    ("symbol", "signature"),
    [
        ("LTCBTC", "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"),
        (WIDE_DIGITS, "e1353ec6b14d888f1164ae9af8228a3dbd508bc82eb867db8ab6046442f33ef3"),
    ],
)
def test_binance_rest(symbol: str, signature: str) -> None:
    """HMAC in hex over the parameters in the order sent, percent-encoded before they are signed."""
    payload = (
        f"symbol={signing.percent_encoded(symbol)}&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1"
        "&recvWindow=5000&timestamp=1499827319559"
    )
    assert binance_signer(BINANCE_SECRET)(payload.encode()) == signature


@pytest.mark.parametrize(
    ("params", "signature"),
    [
        (
            {
                "symbol": "BTCUSDT",
                "side": "SELL",
                "type": "LIMIT",
                "timeInForce": "GTC",
                "quantity": "0.01000000",
                "price": "52000.00",
                "recvWindow": "100",
                "timestamp": "1645423376532",
            },
            "aa1b5712c094bc4e57c05a1a5c1fd8d88dcd628338ea863fec7b88e59fe2db24",
        ),
        (
            {
                "symbol": WIDE_DIGITS,
                "side": "BUY",
                "type": "LIMIT",
                "timeInForce": "GTC",
                "quantity": "1.00000000",
                "price": "0.10000000",
                "recvWindow": "5000",
                "timestamp": "1645423376532",
            },
            "b33892ae8e687c939f4468c6268ddd4c40ac1af18ad19a064864c47bae0752cd",
        ),
        ({"timestamp": "1747385641636"}, "681110a6057ad58657af22f5640fab9dd17418834cdfccdc81be8b0f7b2cde3e"),
    ],
)
def test_binance_websocket(params: dict[str, str], signature: str) -> None:
    """Sorted by name, apiKey among them, UTF-8 as it is."""
    assert binance_signer(BINANCE_SECRET)(binance_ws_payload(params | {"apiKey": BINANCE_KEY})) == signature


def test_binance_private_keys() -> None:
    """RSA (PKCS#1 v1.5, SHA-256) and Ed25519 secrets sign in base64, and the public half says it is right."""
    ours, theirs = ed25519.Ed25519PrivateKey.generate(), rsa.generate_private_key(65537, 2048)
    signature = base64.b64decode(binance_signer(pem(ours))(b"message"))
    ours.public_key().verify(signature, b"message")
    signature = base64.b64decode(binance_signer(pem(theirs).replace("\n", "\\n"))(b"message"))
    theirs.public_key().verify(signature, b"message", padding.PKCS1v15(), hashes.SHA256())


def test_binance_signatures_in_forms() -> None:
    """Base64 is percent-encoded there, hex has nothing to encode."""
    key = pem(ed25519.Ed25519PrivateKey.generate())
    signature = signing.binance_signer(key)(b"message")
    assert signing.binance_form_signer(key)(b"message") == signing.percent_encoded(signature)
    assert signing.percent_encoded("a+/=") == "a%2B%2F%3D"
    assert signing.binance_form_signer(BINANCE_SECRET)(b"m") == signing.binance_signer(BINANCE_SECRET)(b"m")


@pytest.mark.parametrize(
    ("method", "path", "body", "signature"),
    [
        ("GET", "/api/v5/account/balance?ccy=BTC", b"", "HiZhvSfMtWJA3uUIVXV3a/bSXNPCWvYFXoGCVS8V4zY="),
        (
            "POST",
            "/api/v5/trade/order",
            b'{"instId":"BTC-USDT","tdMode":"cash","clOrdId":"b15","side":"buy","ordType":"limit","px":"2.15","sz":"2"}',
            "dI6rrL9rXW/HdaPKJ/6LC1OgvH4/PYju6R3CqixMTNQ=",
        ),
    ],
)
def test_okx(method: str, path: str, body: bytes, signature: str) -> None:
    """Base64 over time, method, path with query, and body."""
    assert signing.okx_signature(OKX, "2020-12-08T09:08:57.715Z", method, path, body) == signature


def test_okx_logon() -> None:
    """The logon signs whole seconds."""
    assert signing.okx_login_signature(OKX, "1538054050") == "+LdIr8lkkvhr5hoA3g9TMC0+uQJ849ftAcocA/ouu4M="


@pytest.mark.parametrize(
    ("now_ns", "text"),
    [
        (1_607_418_537_715_999_999, "2020-12-08T09:08:57.715Z"),
        (0, "1970-01-01T00:00:00.000Z"),
        (1_709_164_799_999_000_000, "2024-02-28T23:59:59.999Z"),
        (1_709_164_800_000_000_000, "2024-02-29T00:00:00.000Z"),
    ],
)
def test_okx_time(now_ns: int, text: str) -> None:
    """ISO 8601 to the millisecond, cut and not rounded."""
    assert signing.okx_time(now_ns) == text


@pytest.mark.parametrize(
    ("payload", "signature"),
    [
        (b"category=spot&symbol=BTCUSDT", "d0e3322db527f5a298d573a1fdf35d8395625ea4e3fae37a1f9c9fc3bf9487ea"),
        (
            b'{"category":"spot","symbol":"BTCUSDT","side":"Buy","orderType":"Limit","qty":"0.01","price":"64012.3",'
            b'"timeInForce":"GTC","orderLinkId":"gb-01HV"}',
            "af05fedf6b3fad0c37adeec0607af80a20f23e095ab34391c6d7a6b2cc4b8392",
        ),
    ],
)
def test_bybit(payload: bytes, signature: str) -> None:
    """Hex over time, key, window and the query or the body."""
    assert signing.bybit_signature(BYBIT, "1658385579423", "gambitDocKey01", "5000", payload) == signature


def test_bybit_logon() -> None:
    """The logon signs its own expiry."""
    signature = "fbf063dc6387a6a488cb3828d361256d5951cfa56dd297a0953eab7ea506d9aa"
    assert signing.bybit_auth_signature(BYBIT, "1662350400000") == signature


def test_kraken() -> None:
    """SHA-512 over the path and the SHA-256 of nonce and body."""
    secret = "kQH5HW/8p1uGOVjbgWA7FunAmGO8lsSUXNsu3eow76sz84Q18fWxnyRzBHCd3pd5nE9qa99HAZtuZuj6F1huXg=="
    mac = keyed(signing.decoded_secret(secret, "kraken"), "sha512")
    body = b"nonce=1616492376594&ordertype=limit&pair=XBTUSD&price=37500&type=buy&volume=1.25"
    signature = "4/dpxb3iT4tp/ZCVEwSnEsLxx0bqyhLpdfOpc6fn7OR8+UClSV5n9E6aSS8MPtnRfp32bAb0nmbRn6H8ndwLUQ=="
    assert signing.kraken_signature(mac, b"/0/private/AddOrder", b"1616492376594", body) == signature


@pytest.mark.parametrize("more", [b"", bytes(32)])
def test_coinbase_ed25519(more: bytes) -> None:
    """EdDSA is deterministic: the very token. 64 bytes are the seed and the public key."""
    key = signing.coinbase_key(base64.b64encode(bytes(range(32)) + more).decode())
    assert isinstance(key, ed25519.Ed25519PrivateKey)
    public = key.public_key().public_bytes_raw().hex()
    assert public == "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8"
    assert signing.jwt(COINBASE_NAME, key, 1_700_000_000, COINBASE_NONCE, COINBASE_URI) == EDDSA_TOKEN


def test_coinbase_es256() -> None:
    """The published token passes our verifier, ours passes it too, and a changed one does not."""
    x, y = (int.from_bytes(unpadded(part), "big") for part in ES256_PUBLIC)
    published = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    claims = {"sub": COINBASE_NAME, "iss": "cdp", "nbf": 1_700_000_000, "exp": 1_700_000_120, "uri": COINBASE_URI}
    assert verified(ES256_TOKEN, published) == claims
    key = ec.generate_private_key(ec.SECP256R1())
    token = signing.jwt(COINBASE_NAME, signing.coinbase_key(pem(key)), 1_700_000_000, COINBASE_NONCE, COINBASE_URI)
    assert verified(token, key.public_key()) == claims
    assert token.rpartition(".")[0] == ES256_TOKEN.rpartition(".")[0]
    with pytest.raises(InvalidSignature):
        verified(token.replace(".", ".e30", 1), key.public_key())


def test_tokens_are_pure() -> None:
    """The same arguments give the same token with either kind of key; a WebSocket's has no uri."""
    for key in (ec.generate_private_key(ec.SECP256R1()), ed25519.Ed25519PrivateKey.generate()):
        assert signing.jwt("name", key, 5, "ab") == signing.jwt("name", key, 5, "ab")
        assert b"uri" not in unpadded(signing.jwt("name", key, 5, "ab").split(".")[1])


def test_coinbase_exchange_uses_the_same_primitive() -> None:
    """The institutional exchange signs base64(HMAC) as OKX does, with a decoded secret and seconds."""
    body = (
        '{"type":"limit","side":"buy","product_id":"BTC-USD","price":"64012.36","size":"0.01",'
        '"client_oid":"0f0f7a3c-6a53-4b6c-9d39-0d7a0b7f7c11"}'
    )
    mac = keyed(signing.decoded_secret("Z2FtYml0LWRvYy1zZWNyZXQ=", "coinbase"))
    signature = "dhNJszqqp1iAstdVLZLJMhifkqmtABLIzNHXLlTkKxw="
    assert signing.okx_signature(mac, "1607418537", "POST", "/orders", body.encode()) == signature


def test_keys_that_cannot_sign() -> None:
    """Each message says what is expected, and none repeats the secret."""
    other_curve, weak = pem(ec.generate_private_key(ec.SECP384R1())), "canary-secret-%"
    broken = "-----BEGIN PRIVATE KEY-----\ncanary-secret\n-----END PRIVATE KEY-----"
    rsa_key = pem(rsa.generate_private_key(65537, 2048))
    attempts = [
        lambda: binance_signer(""),
        lambda: binance_signer(broken),
        lambda: binance_signer(other_curve),
        lambda: signing.decoded_secret(weak, "kraken"),
        lambda: signing.coinbase_key(other_curve),
        lambda: signing.coinbase_key(rsa_key),
        lambda: signing.coinbase_key(base64.b64encode(b"canary-secret").decode()),
        lambda: signing.jwt("name", rsa.generate_private_key(65537, 2048), 5, "ab"),
    ]
    for attempt in attempts:
        with pytest.raises(UnusableKey) as failed:
            attempt()
        assert "canary-secret" not in str(failed.value)
