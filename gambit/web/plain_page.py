"""Pages made on the server, without a script: their style, their policy, and the frame around them."""

import base64
import hashlib
import re
from html import escape
from typing import Final

HTML: Final = "text/html; charset=utf-8"
POLICY: Final = (
    "default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
STYLE: Final = """
:root{color-scheme:dark;--bg:#0c1015;--panel:#131920;--raised:#1b232c;--line:#26303b;--text:#dbe2ea;--muted:#93a0ae;
--good:#4cc36a;--info:#62adff;--warn:#e0ad3d;--bad:#ff6b63}
@media(prefers-color-scheme:light){:root{color-scheme:light;--bg:#f4f6f8;--panel:#fff;--raised:#eef1f4;--line:#d9dfe5;
--text:#17202a;--muted:#5b6875;--good:#167a35;--info:#0a63c2;--warn:#8a5a00;--bad:#c0271f}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--text);font:14px/1.5 system-ui,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
a{color:var(--info);text-decoration:none}a:hover{text-decoration:underline}
code,pre{font-family:ui-monospace,Menlo,Consolas,"DejaVu Sans Mono",monospace;font-size:12.5px}
pre{margin:6px 0;padding:10px 12px;background:var(--raised);border-radius:6px;overflow:auto;max-height:22rem}
nav{position:fixed;inset:0 auto 0 0;width:290px;overflow:auto;padding:18px;background:var(--panel);
border-right:1px solid var(--line)}
nav h2{font-size:12px;color:var(--muted);margin:16px 0 4px;text-transform:uppercase;letter-spacing:.05em}
nav a{display:flex;gap:8px;color:var(--text);padding:1px 0;font-size:12.5px;white-space:nowrap;overflow:hidden}
nav b{width:50px;flex:none;font-size:10.5px;line-height:19px}
main{margin-left:290px;padding:22px 30px 80px;max-width:1080px}
h1{margin:0 0 8px;font-size:24px}main>h2{margin:34px 0 8px;font-size:18px;text-transform:capitalize}
h4{margin:14px 0 4px;font-size:12px;color:var(--muted);font-weight:600}
p{margin:6px 0}
details{background:var(--panel);border:1px solid var(--line);border-radius:8px;margin:8px 0}
summary{cursor:pointer;padding:9px 14px;display:flex;gap:12px;align-items:baseline;flex-wrap:wrap}
summary small{margin-left:auto;color:var(--muted)}details[open]>summary{border-bottom:1px solid var(--line)}
details>div{padding:8px 14px 14px;scroll-margin-top:52px}
b.m{display:inline-block;min-width:60px;text-align:center;border-radius:4px;font-size:11px;line-height:20px;
background:var(--raised)}
.GET{color:var(--info)}.POST{color:var(--good)}.PATCH{color:var(--warn)}.DELETE{color:var(--bad)}
table{border-collapse:collapse;width:100%}th{text-align:left;font-weight:500;color:var(--muted);font-size:12px}
td,th{padding:4px 12px 4px 0;vertical-align:top;border-bottom:1px solid var(--line);overflow-wrap:anywhere}
td:first-child{white-space:nowrap}i{color:var(--bad);font-style:normal}.hint{color:var(--muted)}
@media(max-width:860px){nav{position:static;width:auto;border:0;max-height:40vh}main{margin:0;padding:14px}}
""".replace("\n", "")


def whole(title: str, body: str) -> str:
    """A page; both are markup already."""
    return (
        f"<!doctype html><html lang='en'><head><meta charset='utf-8'><title>{title}</title>"
        f"<meta name='viewport' content='width=device-width, initial-scale=1'><style>{STYLE}</style></head>"
        f"<body>{body}</body></html>"
    )


def prose(text: str) -> str:
    """Text as markup; what stands between backquotes is set as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def policy() -> str:
    """The policy of such a page: nothing runs, and its own style alone counts."""
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    return POLICY.format(style=digest)
