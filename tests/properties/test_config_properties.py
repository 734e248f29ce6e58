from __future__ import annotations

import json
from typing import Any

import jsonschema  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from trialjob.config import parse
from trialjob.config.paths import parse_path
from trialjob.config.schema import spec_schema
from trialjob.model.durations import format_duration, parse_duration
from trialjob.model.paths import path_text

SCHEMA = jsonschema.Draft202012Validator(spec_schema(packages=False))
WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.]{0,6}", fullmatch=True)
FLOATS = st.floats(-1e300, 1e300)
SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | FLOATS | WORDS
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner), max_leaves=5
)
DURATIONS = st.floats(1e-6, 1e9) | st.integers(1, 10**6).map(lambda ms: ms / 1000)


def ranges(kind: str, ends: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    pairs = st.tuples(ends, ends).filter(lambda pair: pair[0] < pair[1])
    return pairs.map(lambda pair: {"type": kind, "lower": pair[0], "upper": pair[1]})


DOMAINS = st.one_of(
    ranges("uniform", FLOATS),
    ranges("loguniform", st.floats(1e-300, 1e300)),
    ranges("randint", st.integers(-(2**40), 2**40)),
    st.lists(VALUES, min_size=1, max_size=4, unique_by=lambda value: json.dumps(value, sort_keys=True)).map(
        lambda values: {"type": "choice", "values": values}
    ),
    SCALARS,
)


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    space = draw(st.dictionaries(NAMES, DOMAINS, min_size=1, max_size=4))
    trials = draw(st.integers(1, 999_999))
    return {
        "name": draw(st.from_regex(r"[a-z0-9]{1,20}", fullmatch=True)),
        "estimator": {
            "kind": "script",
            "source_dir": "/code",
            "entry_point": draw(NAMES),
            "hyperparameters": {
                name: value
                for name, value in draw(st.dictionaries(NAMES, VALUES, max_size=3)).items()
                if name not in space
            },
            "environment": draw(
                st.dictionaries(st.from_regex(r"[A-Z_]{1,5}", fullmatch=True), WORDS, max_size=2)
            ),
        },
        "space": space,
        "objective": {"metric": draw(NAMES) + "!", "mode": draw(st.sampled_from(["min", "max"]))},
        "metrics": [{"name": name, "regex": "x=({number})"} for name in draw(st.sets(NAMES, max_size=3))],
        "sampler": draw(st.sampled_from([{"kind": "random"}, {"kind": "random", "seed": 3}])),
        "stopping": draw(
            st.just({"kind": "none"})
            | st.floats(1.5, 1e6).map(
                lambda most: {"kind": "asha", "max_resource": most, "reduction_factor": most + 1}
            )
        ),
        "limits": {
            "max_trials": trials,
            "max_concurrent_trials": draw(st.integers(1, trials)),
            "timeout": draw(st.none() | DURATIONS),
            "trial_timeout": draw(DURATIONS),
        },
    }


@given(documents())
def test_a_document_parses_to_an_equal_spec(document: dict[str, Any]) -> None:
    spec = parse(document, files=False)
    written = spec.document()
    SCHEMA.validate(document)
    SCHEMA.validate(written)
    assert parse(written, files=False) == spec
    assert parse(json.loads(json.dumps(written, allow_nan=False)), files=False).document() == written


@given(DURATIONS)
def test_durations_are_read_back(seconds: float) -> None:
    assert parse_duration(format_duration(seconds)) == seconds


@given(st.lists(WORDS | st.integers(0, 999), min_size=1).filter(lambda parts: isinstance(parts[0], str)))
def test_paths_are_read_back(parts: list[str | int]) -> None:
    assert parse_path(path_text(parts)) == parts
