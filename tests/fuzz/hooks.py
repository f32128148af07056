"""What Schemathesis has to know of this server: its scalars, what it may answer, and which requests have a chance.

A document that is made up at random is often refused, and that is right: what must not happen is an answer that is no
answer, an error without one of the documented codes, one of those that say that something is broken here, or data that
the schema does not promise.
"""

import atexit
import collections
import json
import os

import forms
import likely
import schemathesis
import shape
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
known = json.loads(os.environ["YADO_FUZZ_IDS"])

schemathesis.graphql.scalar("ID", (st.sampled_from(list(known.values())) | st.text()).map(nodes.String))
schemathesis.graphql.scalar("BigInt", whole.map(nodes.Int))
schemathesis.graphql.scalar("Decimal", decimals.map(str).map(nodes.String) | st.integers().map(nodes.Int))
times = st.datetimes().map(lambda time: time.isoformat() + "Z")
schemathesis.graphql.scalar("DateTime", (times | times | times | st.text()).map(nodes.String))
schemathesis.graphql.scalar("JSON", st.text().map(nodes.String) | whole.map(nodes.Int))

found = likely.Found(known)
# How many requests were answered without an error and with one, by what they ask for.
answered, refused = collections.Counter(), collections.Counter()


@schemathesis.hook
def flatmap_body(context, body):
    """Three of four documents are made likely, and two of those take another form."""
    seeds = st.integers(min_value=0, max_value=2**32 - 1)
    return seeds.map(lambda seed: asked(body, seed))


def asked(body, seed):
    """The document as the server is asked it."""
    if seed % 4 == 3:
        return body
    made = likely.made(body, found, seed)
    return made if seed % 4 == 0 else forms.varied(made, seed)


def code_of(error):
    """Which of the documented codes it has."""
    return error.get("extensions", {}).get("code")


@schemathesis.check
def answers_are_whole(ctx, response, case):
    assert response.status_code < 500, f"{response.status_code} is for what is broken"
    answer = response.json()
    assert isinstance(answer, dict) and ("data" in answer or answer.get("errors")), "this is no answer of GraphQL"
    errors = answer.get("errors", [])
    for error in errors:
        code = code_of(error)
        assert code in EXPECTED, f"{code} is not what a caller may bring about: {error}"
    # What lags is recorded: only its answer was not there in time.
    lags = case.operation.label.startswith("Mutation.") and all(code_of(error) == "LAGGING" for error in errors)
    (refused if errors and not lags else answered)[case.operation.label] += 1
    if answer.get("data") is not None:
        shape.check(case.operation.schema.client_schema, case.body, answer["data"], found.note)


@atexit.register
def tell():
    """What came of it, for whoever has started this."""
    if path := os.environ.get("YADO_FUZZ_TOLD"):
        with open(path, "w", encoding="utf-8") as told:
            json.dump({"answered": answered, "refused": refused}, told)
