"""One rule of the projection: which records it takes, how their JSON is read, and the SQL that makes rows of them."""

import json
from typing import Final, NamedTuple

MONEY: Final = "DECIMAL(38, 18)"
AMOUNTS: Final = f"MAP(VARCHAR, {MONEY})"  # by asset


class Rule(NamedTuple):
    """Records of `kinds`, read as `fields` (name -> DuckDB type), run through `sql`, in which `{facts}` stands for
    them: rows of seq, ts (TIMESTAMP_NS), kind, fact (a struct of the fields), in the order of the journal.

    `keeps_body`: the rows do not tell everything, so the record stays whole in the table `facts` as well."""

    kinds: tuple[str, ...]
    fields: dict[str, str]
    sql: str
    keeps_body: bool = False

    def statement(self) -> str:
        """The SQL to run on a batch."""
        kinds = ", ".join(f"'{kind}'" for kind in self.kinds)
        shape = json.dumps(self.fields)
        facts = (
            f"(SELECT seq, make_timestamp_ns(ts_ns) AS ts, kind, from_json(body, '{shape}') AS fact "
            f"FROM batch WHERE kind IN ({kinds}) ORDER BY seq)"
        )
        return self.sql.replace("{facts}", facts)


def fields(kind: str, *names: str) -> dict[str, str]:
    """Several fields of one type."""
    return dict.fromkeys(names, kind)
