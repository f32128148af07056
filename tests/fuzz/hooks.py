"""What Schemathesis has to know of this server: its scalars, and what it may answer.

A document that is made up at random is often refused, and that is right: what must not happen is an answer that is no
answer, an error without one of the documented codes, or one of those that say that something is broken here.
"""

import os

import schemathesis
from hypothesis import strategies as st
from schemathesis.graphql import nodes

EXPECTED = {
    "BAD_USER_INPUT",
    "CONFLICT",
    "IDEMPOTENCY_KEY_REUSED",
    "LAGGING",
    "NOT_FOUND",
    "REJECTED",
    "TOO_COMPLEX",
}

whole = st.integers(min_value=-(2**63), max_value=2**63 - 1)
prices = st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=0, max_value=10**6)
decimals = prices | st.decimals(allow_nan=False, allow_infinity=False)

# Instances that there are: an id that is made up names nothing, and little can be done to nothing.
known = os.environ["YADO_FUZZ_IDS"].split(",")

schemathesis.graphql.scalar("ID", (st.sampled_from(known) | st.text()).map(nodes.String))
schemathesis.graphql.scalar("BigInt", whole.map(nodes.Int))
schemathesis.graphql.scalar("Decimal", decimals.map(str).map(nodes.String) | st.integers().map(nodes.Int))
times = st.datetimes().map(lambda time: time.isoformat() + "Z")
schemathesis.graphql.scalar("DateTime", (times | st.text()).map(nodes.String))
schemathesis.graphql.scalar("JSON", st.text().map(nodes.String) | whole.map(nodes.Int))


@schemathesis.check
def answers_are_whole(ctx, response, case):
    assert response.status_code < 500, f"{response.status_code} is for what is broken"
    answer = response.json()
    assert isinstance(answer, dict) and ("data" in answer or answer.get("errors")), "this is no answer of GraphQL"
    for error in answer.get("errors", []):
        code = error.get("extensions", {}).get("code")
        assert code in EXPECTED, f"{code} is not what a caller may bring about: {error}"
