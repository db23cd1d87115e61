"""S32, by the schema: what the OpenAPI document promises holds for requests that fit it and for those that do not."""

import pytest

from gambit.web.routes import ROUTES
from tests.web.schema_driven import run


@pytest.mark.timeout(600)
async def test_s32_requests_made_of_the_document():
    """Schemathesis finds nothing: no 5xx, no status or body that is not in the document, no method or credential
    ignored. Longer: `python -m tests.web.schema_driven 100`."""
    outcome = await run(examples=1, seed=1, phases=("coverage",), patience_sec=200)
    assert (outcome.code, outcome.defects) == (0, []), outcome.text
    assert f"{len(ROUTES) - 1} passed" in outcome.text, "all but the document itself"
