from __future__ import annotations

from pathlib import Path

import pytest

from trialjob.config import load
from trialjob.config.yaml_text import load_yaml
from trialjob.errors import SpecError

BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10)
)
DEEP_ALIASES = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 200))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "empty"),
        (b"# nothing\n", "empty"),
        (b"- a\n", "no mapping"),
        (b"name: a\nname: b\n", "line 2"),
        (b"name: a\nlimits:\n\tmax_trials: 3\n", "line 3"),
        (b"name: \xff\xfe\n", "line 1"),
        (b"name: a\nx: \x00\n", "line 2"),
        (b"\x7fELF\x00\x01", "line 1"),
        (BOMB.encode(), "100,000"),
        (b"a: [" + b"1," * 100_001 + b"}", "100,000"),  # read no further than that, so no word of the }
        (DEEP_ALIASES.encode(), "nested"),
        (b"name: a\nspace: &s {x: *s}\n", "contains itself"),
        (b"[" * 100_000, "nested"),
        (b"a: " + b"9" * 5000, "quotes"),
        (b"a: 2024-99-99\n", "quotes"),
        (b"a: 2024-01-01\n", "date"),
        (b"a: !!python/object:os.system {}\n", "line 1"),
        (b"a: !!set {b}\n", "set"),
        (b"1: a\n", "quotes"),
        (b"{[1]: 2}\n", "quotes"),
        (b"a: *b\n", "line 1"),
        (b"a: 1\n---\nb: 2\n", "line 2"),
        (b'a: "\\ud800"\n', "surrogates"),
        (b"a: {b: .inf}\n", "a.b"),
        (b"x" * 1_000_001, "1,000,000"),
    ],
)
def test_what_is_no_spec_is_refused_with_file_and_line(tmp_path: Path, text: bytes, words: str) -> None:
    path = tmp_path / "sweep.yaml"
    path.write_bytes(text)
    with pytest.raises(SpecError) as caught:
        load(path)
    assert str(path) in str(caught.value)
    assert words in str(caught.value)


def test_a_mapping_takes_in_another_and_its_own_keys_win() -> None:
    text = "here: &b {kind: local, poll_interval: 2}\nthere: {<<: *b, poll_interval: 9}\n"
    found = load_yaml(text + "both: {<<: [*b, {x: 1}]}\n", "spec")
    assert found["there"] == {"kind": "local", "poll_interval": 9}
    assert found["both"] == {"kind": "local", "poll_interval": 2, "x": 1}


@pytest.mark.parametrize("value", ["3", "[1]", "x"])
def test_a_mapping_takes_in_nothing_else(value: str) -> None:
    with pytest.raises(SpecError, match="line 2"):
        load_yaml(f"a: 1\nb: {{<<: {value}}}\n", "spec")


def test_an_anchor_may_be_defined_again_without_a_word() -> None:
    """A warning would be kept for as long as a server runs, one for each name that somebody thinks of."""
    assert load_yaml("a: &x 1\nb: &x 2\nc: *x\n", "spec") == {"a": 1, "b": 2, "c": 2}


def test_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="is a folder"):
        load(tmp_path)
    with pytest.raises(SpecError, match="cannot be read"):
        load(tmp_path / "none.yaml")
    with pytest.raises(SpecError, match="cannot be read"):
        load(tmp_path / ("x" * 5000))


def test_a_text_with_an_underscore_is_a_number_only_where_it_groups_thousands() -> None:
    assert load_yaml("[1_000, -12_345.5, 1_000e3]", "x") == [1000, -12345.5, 1e6]
    texts = ["2024_05", "1_", "0.1_5", "1_0", "1_000_00", "0x1_F"]
    assert load_yaml(f"[{', '.join(texts)}]", "x") == texts
