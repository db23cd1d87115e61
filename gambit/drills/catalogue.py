"""The catalogue, F01 to F126 (reliability.md 2.3), in order; and which do not apply to gambit, with the reason."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gambit.drills.scenario import Scenario

# id | what is done | what must follow | invariants; a line with a letter alone begins a group.
TABLE: Final = """
A
F01|a create is accepted, its reply is lost|in doubt, found by its key, adopted|I01 I02 I03
F02|accepted and filled at once, the reply is lost|found through history, not absent|I01 I03
F03|a create is lost, queries know no such order|absent only after the window, then a new key|I02 I06
F04|a create is held past our timeout, inside the window|no second order, adopted late|I01 I02 I06
F05|a create is held beyond the window|the refusal is definitive, a retry is allowed|I02
F06|503 with HTML, the order was applied|in doubt, then adopted|I01 I03
F07|503 with HTML, the order was not applied|in doubt, absent after the window|I02
F08|"execution status unknown" with a 4xx or 200|in doubt, not refused|I01
F09|200 with an empty, cut or unreadable body, applied|in doubt|I01 I24
F10|the connection is closed after the request was read|the venue sees it exactly once|I02
F11|fill, then new, then the HTTP answer|a lawful path, one order|I04 I05
F12|the refusal arrives while the send completes|matched to its order|I04
F13|the venue takes a used client id again, and F02|never sent again|I01 I02
F14|a batch fails whole, or one leg of it|each leg has its own outcome|I01 I04
F15|all REST is down right after six accepts|none failed, all six are recovered|I01 I03 I17
F16|two questions overlap, the older answers last|the older answer is ignored|I04
F17|the order query says "not found" for 3 s|no terminal state|I02
F18|order ids above 2^53 as JSON numbers|kept exactly|I03
F19|the venue answers with another order's id once|noticed, asked again|I03 I24
B
F20|partial; the rest fills while a cancel travels|filled, compensation from quantities|I04 I05 I06
F21|a cancel finds no order, for it has filled|asked for, the fill is adopted|I03 I04
F22|the end (cum 7) comes before the fills that make 7|waits for the executions|I05
F23|a fill comes late, later still, and after a restart|applied, balanced again|I03 I06
F24|each execution three times, again after a reconnect|applied once|I03 I05
F25|an execution id again with another quantity|not applied, history decides, an alarm|I03
F26|equal trade ids on two venues|both are applied|I03
F27|executions without ids, repeated|asked for over HTTP, where they have ids; applied once|I03 I11
F28|more is filled than was asked|taken as truth, alarm, the excess hedged|I05 I06
F29|the private stream is gone during fills, no replay|filled in by REST|I03
F30|REST tells of a fill, the stream later again|applied once|I03
F31|an exception between the dedupe check and the apply|tried again, not suppressed|I03 I24
F32|an execution is busted|reversed, hedged again|I03 I06 I19
F33|"filled" while an execution is missing|ended by quantities|I04
F34|cancel-replace: the cancel fails, the new is taken|both are tracked within limits|I07
F35|self-trade prevention expires the remainder|a cancelled remainder, no trade|I03 I06
F36|an amendment races a fill|remaining quantity recomputed|I05 I07
F37|a foreign order and fill on the account|marked external, counted, untouched|I07
F38|fees in the base asset and in a third one|hedges the net quantity, balances equal|I06 I19
F39|the venue cancels everything|no storm of retries, compensation|I06 I16
F40|events of one order over two sockets, out of order|one history|I04 I05
C
F41|one leg fills, the other is refused|unwound or hedged in time|I06
F42|one leg fills, the other is in doubt for 8 s|no blind compensation, bounded, resolved|I01 I06 I07
F43|7 of 10 and 4 of 10|the difference is compensated once|I06
F44|compensations are refused again and again|bounded attempts, then halt and alarm|I06 I16
F45|the remainder is below the minimum|kept as dust, no retries|I06 I16
F46|the price runs 5 % while unhedged|nothing beyond the collar, alarm|I06 I07
F47|the hedge's venue goes into maintenance|another venue, or flat at the origin|I06
F48|a withdrawal between plan and submit|the refusal is handled, balances corrected|I06 I19
F49|tick, lot and minimum change during a run|the rules are read again, no loop|I16 I22
F50|HALT or CANCEL_ONLY between the legs|as F41, the symbol is left alone|I06 I08
F51|two opportunities want one balance|reserved once|I07
F52|the same opportunity on 50 ticks while in flight|one plan|I01 I07
F53|SIGKILL after one leg filled, before the other|the next life finishes or unwinds|I06 I12
F54|a compensation and a late fill cross|flat in the end, at most 3 orders|I06
F55|a cycle of three legs, the middle one partial|flattened per currency|I06 I19
D
F56|a gap of one update, of many|unsynced at once, a snapshot, no opportunity|I08 I14
F57|a gap while the snapshot loads|fetched again|I08
F58|a corrupt level under a true checksum|noticed by the checksum, resynced|I08
F59|a checksum that is always 0, then absent|no loop of resyncs|I08 I16
F60|updates go on while a book is invalid|at most one resubscription in 5 s|I16
F61|one book freezes, everything else lives|stale there, subscribed anew|I08 I17
F62|a venue sends heartbeats only|stale, told|I08
F63|a feed is 3 s late but steady|degraded, no plans on it|I08
F64|a book is crossed for a moment, and for long|unsynced at once, no storm|I08
F65|the deletion of a level is lost: a phantom edge|stopped by checks, no order|I08
F66|values that no price may have|the frame is refused, the daemon lives|I08 I24
F67|a price jumps 50 % for one tick|no order|I08
F68|updates repeated, swapped, numbered downwards|ignored or resynced|I08
F69|a snapshot nobody announced|replaces the whole book|I08
F70|renamed and extra fields, unknown events|tolerated or the book is lost, never guessed|I24
F71|a 16 MB frame, deep JSON, bad UTF-8|closed, connected again, memory flat|I17 I18
F72|look-alike symbols (USD, USDT)|not mixed|I08 I22
F73|a fee changes during a run|the next plans know it|I08
F74|a venue stalls 2 s, then sends everything|all is applied, no plan on the backlog|I08 I14
F75|an update at the freshness limit, 1 ms either side|the boundary is honoured|I08
E
F76|the 24 h cut on every venue|replaced beforehand, with overlap|I08 I17
F77|a notice of shutdown|replaced|I17
F78|a black hole|found within 10 s|I17
F79|accepted and closed, again and again|jittered waits, at most 30 in five minutes|I16
F80|a private session ends silently|found, filled in|I03 I17
F81|429, then 418|silence, the reserve is for cancels|I16
F82|the key is revoked|the venue is left alone, others go on, told|I06 I24
F83|a wrong certificate|refused|I24
F84|venues lost one by one, healed in another order|ready again|I17
F85|everything in segments of one byte|the same result|I03 I08
F86|a long outage's fills all at once, under the limit|paged, within budget, complete|I03 I16
F
F87|clocks 30 s apart|the offset is used, nothing fails of it|I02 I17
F88|the wall clock steps back an hour|deadlines hold, the journal's order too|I06 I11
F89|venues 5 s apart|ages by each venue's offset|I08
F90|a venue writes microseconds for milliseconds|noticed, not read as a far year|I08 I24
F91|SIGSTOP, then SIGCONT|nothing is sent before books are fresh|I08 I17
G
F92|SIGKILL at random instants under load|nothing told is missing|I03 I06 I11 I12 I13
F93|a kill at named points of the write path|the same|I03 I06 I11 I12 I13
F94|a power cut: only what was synced is left|nothing declared durable is missing|I01 I03 I12
F95|the last record is cut at every byte|the torn end is dropped and told|I11
F96|one byte in the middle of the journal is wrong|it refuses, and names the place|I11 I24
F97|the n-th write or sync fails|new orders stop, an alarm|I12 I24
F98|a sync takes very long|sends wait, books live|I12 I14
F99|the database is damaged, deleted, locked|put aside, made again, trading goes on|I13
F100|a second instance on the directory, on the account|refused; the foreign epoch is noticed|I01 I15
F101|a stale lock with a reused pid|starts|I15
F102|SIGTERM with orders open|ends within 10 s, code 0|I11 I12
F103|the memory limit is hit|dies clean or sheds, restarts well|I12 I18
F104|a journal of another release, a record of the future|replays; refuses|I11
F105|five crashes in a minute|safe mode: no orders, an alarm|I24
F106|a symbol leaves the configuration with a position|refuses or manages it|I06
F107|the snapshot is corrupt|an older one and a longer tail, same state|I11
H
F108|a kill with creates in flight|none after it, the doubtful are resolved|I06 I09
F109|a kill through each door|within 50 ms|I09 I21
F110|a kill under a burst|within 100 ms|I09
F111|a kill, SIGKILL, a restart|still killed|I10
F112|a kill while a venue is down|cancels go on, flat is never claimed|I09
F113|over each limit|refused before the wire, the reason is written down|I07
F114|10 000 plans a second|bounded, told|I07 I16
F115|the identical order twice in a moment|the second is refused|I01
F116|limits reloaded as NaN, -1, missing, a billion|refused, the old ones stay, audited|I07 I21
F117|the daemon stops with orders resting|the venue's dead man's switch empties the book|I06
F118|the alert channel is down|another one, or a halt|I24
F119|re-arm by a viewer, with a stale nonce, twice|refused, refused, once|I10 I23
I
F120|five times the rated feed for 10 s|conflation is counted, orders are intact|I14 I18
F121|an exception in each supervised task|visible within 1 s|I17 I24
F122|few descriptors, then a flood of connections|feeds and venues keep theirs|I17 I18
F123|the log's reader blocks|trading goes on|I14
F124|Telegram is slow, limits, is down|trading goes on, alerts are bounded|I17 I18
F125|200 scrapes a second|the hot path keeps its pace|I14
F126|1 000 WebSocket clients, 100 of them stalled|the healthy get everything|I14 I18
"""

NOT_APPLICABLE: Final[Mapping[str, str]] = {
    "F14": "gambit uses no batch endpoint: every leg is a request of its own, with its own outcome (F01 to F13)",
    "F34": "gambit never replaces an order: what is left of a plan is a new order under a new key",
    "F36": "gambit amends no order: all of its orders are immediate-or-cancel or fill-or-kill",
    "F39": "nothing of gambit's rests that a venue could cancel; what an immediate order leaves is F20, F43 and F50",
    "F55": "a plan's legs are of one symbol: gambit trades no cycles over several currencies",
}


NOT_BUILT: Final[Mapping[str, str]] = {}


def _read() -> dict[str, Scenario]:
    found: dict[str, Scenario] = {}
    group = ""
    for line in TABLE.strip().splitlines():
        if "|" not in line:
            group = line
            continue
        name, trigger, expected, invariants = line.split("|")
        found[name] = Scenario(name, group, trigger, expected, tuple(invariants.split()))
    return found


SCENARIOS: Final[Mapping[str, Scenario]] = _read()
