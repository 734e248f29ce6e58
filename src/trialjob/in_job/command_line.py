"""How values become the words of a command line: in a dialect, or by a template.

The estimators, the backends and the job itself use it, so that a word means the same in all three.
Rule: standard library only, Python 3.8, and pure. Templates are checked before an experiment begins; what was
overlooked then does not end a trial here.
"""

from __future__ import annotations

import json
import re
import string
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

#: As the SageMaker training toolkit gives them, which SDK v2 relied on: ``--flag True``, ``-n 3``.
SDK_V2 = "sdk-v2"
#: As the container drivers of SDK v3 give them: JSON everywhere, ``--flag true``, ``--n 3``.
SDK_V3 = "sdk-v3"
#: As trialjob 0.1.0 gave them, in experiments that it began: ``--flag True``, ``--n 3``, else JSON.
FIRST = "trialjob-0.1"

#: Stands for every hyperparameter that no other word names.
OTHERS = "others"
#: What ``{values_file}`` stands for, below the tree of a job: of a script, and of a container.
VALUES_FILES = {"": "values.json", "json": "values.json", "yaml": "values.yaml"}
_FOLDERS = {"checkpoint_dir": "checkpoints", "model_dir": "model", "output_dir": "output/data"}
#: The names in braces that stand for places, apart from ``channel:NAME``.
PLACES = (*_FOLDERS, "values_file")
#: How a hyperparameter may be given; ``""`` is its value alone.
FORMS = (
    "", "option", "key=value", "words", "repeat", "flag", "no-flag", "flag/no-flag", "type=bool",
)  # fmt: skip
#: A flag that is called otherwise: given where the value is true, and behind the slash where it is false.
_NAMED_FLAG = re.compile(r"(-[^\s/]+)?(?:/(-[^\s/]+))?")
_IN_BRACES = re.compile(r"\{([^{}]*)\}")
_TRUE = ("true", "yes", "on", "1")


class How(NamedTuple):
    """How a script is given its values."""

    dialect: str = FIRST
    #: The words as templates; None for an option for each value.
    words: tuple[str, ...] | None = None


AS_FIRST = How()


class Slot(NamedTuple):
    """A name in braces, and the form behind its colon."""

    name: str
    form: str

    @property
    def whole(self) -> bool:
        """It gives words of its own, so nothing else can stand in its word."""
        return self.form != "" and not is_place(self.name, self.form)


# Templates


def slots(word: str) -> tuple[Slot, ...]:
    """What stands in braces in a word; ``{{`` is a brace. Raises ValueError, with the reason."""
    found = []
    pieces = list(string.Formatter().parse(word))
    for _, name, form, conversion in pieces:
        if name is None:
            continue
        slot = Slot(name, form or "")
        if name == "" or conversion:
            raise ValueError("write a hyperparameter's name between the braces, or {{ }} for braces")
        if not is_form(slot.form) and not is_place(name, slot.form):
            forms = ", ".join(FORMS[1:])
            raise ValueError(
                f"{slot.form!r} is no form; between the braces may stand, behind a colon: {forms}"
            )
        if slot.whole and (len(pieces) > 1 or pieces[0][0]):
            raise ValueError(
                f"{{{name}:{slot.form}}} gives words of its own: write nothing beside its braces"
            )
        found.append(slot)
    return tuple(found)


def is_form(form: str) -> bool:
    """Whether a hyperparameter can be given so."""
    return form in FORMS or (bool(form) and _NAMED_FLAG.fullmatch(form) is not None)


def is_flag(form: str) -> bool:
    """Whether a form is for values that are true or false."""
    return is_form(form) and form not in ("", "option", "key=value", "words", "repeat")


def is_place(name: str, form: str) -> bool:
    """Whether a name in braces stands for a place of the job, where no hyperparameter is called so."""
    if name == "channel":
        return form != ""
    return form in VALUES_FILES if name == "values_file" else name in _FOLDERS and not form


def place(name: str, form: str, root: str, values_folder: str = "") -> str:
    """Where it is below ``root``, the tree of a job."""
    if name == "channel":
        return f"{root}/input/data/{form}"
    if name == "values_file":
        return "/".join(filter(None, (root, values_folder, VALUES_FILES[form])))
    return f"{root}/{_FOLDERS[name]}"


def with_places(value: Any, root: str, values_folder: str = "") -> Any:  # noqa: ANN401 - JSON
    """``value`` with places for their names in braces, in every text of it.

    A text without such a name stays as it is, so that other programs' braces need no doubling.
    """
    if isinstance(value, str):
        return _placed(value, root, values_folder) if place_names(value) else value
    if isinstance(value, Mapping):
        return {name: with_places(item, root, values_folder) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [with_places(item, root, values_folder) for item in value]
    return value


def place_names(text: str) -> list[str]:
    """The names of places that stand in braces in a text."""
    return [inner for inner in _IN_BRACES.findall(text) if is_place(*_split(inner))]


def _split(inner: str) -> tuple[str, str]:
    name, _, form = inner.partition(":")
    return name, form


def _placed(text: str, root: str, values_folder: str) -> str:
    def one(match: re.Match[str]) -> str:
        if match[0] in ("{{", "}}"):
            return match[0][0]
        name, form = _split(match[1])
        return place(name, form, root, values_folder) if is_place(name, form) else match[0]

    return re.sub(r"\{\{|\}\}|\{([^{}]*)\}", one, text)


def mentions_values_file(value: Any) -> bool:  # noqa: ANN401 - JSON
    """Whether a text in ``value`` stands for the file of the values."""
    if isinstance(value, str):
        return any(_split(inner)[0] == "values_file" for inner in place_names(value))
    if isinstance(value, Mapping):
        return any(map(mentions_values_file, value.values()))
    return isinstance(value, (list, tuple)) and any(map(mentions_values_file, value))


# Words


def arguments(values: Mapping[str, Any], dialect: str = FIRST) -> list[str]:
    """An option for each value, sorted by name; None is left out, but for the null of ``sdk-v3``."""
    return [word for name in sorted(values) for word in _option(name, values[name], dialect)]


def words(values: Mapping[str, Any], how: How, root: str) -> list[str]:
    """The words of a script whose tree is at ``root``."""
    if how.words is None:
        return arguments(values, how.dialect)
    return filled(how.words, values, dialect=how.dialect, root=root)


def filled(
    templates: Iterable[str],
    values: Mapping[str, Any],
    *,
    dialect: str = FIRST,
    root: str = "/opt/ml",
    values_folder: str = "",
    beside: Iterable[str] = (),
) -> list[str]:
    """The words of ``templates``; ``beside`` are further ones, whose names are none of the others either.

    A word that names a hyperparameter which this configuration has not is left out, and so is an option that
    stands before it: ``["--momentum", "{momentum}"]`` says nothing where there is no momentum.
    """
    templates = list(templates)
    named = {slot.name for word in (*templates, *beside) for slot in slots(word)}
    filling = _Filling(values, named, dialect, root, values_folder)
    kept: list[str] = []
    is_option = False
    for word in templates:
        found = slots(word)
        fresh = filling.words_of(word, found)
        if not fresh and is_option and filling.takes_option(word, found):
            kept.pop()
        # By how it is written: a value that was filled in may begin with a dash as well, such as -5.
        is_option = word.startswith("-") and "=" not in word and not found
        kept += fresh
    return kept


class _Filling(NamedTuple):
    """What words are filled with."""

    values: Mapping[str, Any]
    #: The names that stand in some word, which are none of the others.
    named: set[str]
    dialect: str
    root: str
    values_folder: str

    def words_of(self, word: str, found: tuple[Slot, ...]) -> list[str]:
        """What becomes of a word; nothing when what it names is not there."""
        if len(found) == 1 and (
            self._is_others(found[0]) or (found[0].whole and not self._is_place(found[0]))
        ):
            return self._whole(found[0])
        texts: dict[Slot, str] = {}
        for slot in found:
            if self._is_place(slot):
                texts[slot] = place(slot.name, slot.form, self.root, self.values_folder)
            elif self.values.get(slot.name) is None:
                return []
            else:
                texts[slot] = text_of(self.values[slot.name], self.dialect)
        parts = string.Formatter().parse(word)
        return [
            "".join(text + (texts[Slot(name, form or "")] if name else "") for text, name, form, _ in parts)
        ]

    def takes_option(self, word: str, found: tuple[Slot, ...]) -> bool:
        """Whether an option before a word goes with it: then it is the option of that value."""
        if not word.startswith("{") or not found or self._is_others(found[0]):
            return False
        return found[0].form in ("", "words")

    def _whole(self, slot: Slot) -> list[str]:
        names = sorted(self.values.keys() - self.named) if self._is_others(slot) else [slot.name]
        form = slot.form or "option"
        return [word for name in names for word in _in_form(name, self.values.get(name), form, self.dialect)]

    def _is_others(self, slot: Slot) -> bool:
        return slot.name == OTHERS and OTHERS not in self.values

    def _is_place(self, slot: Slot) -> bool:
        """A hyperparameter of the same name goes before it."""
        return is_place(*slot) and not (slot.name in self.values and is_form(slot.form))


def _in_form(name: str, value: Any, form: str, dialect: str) -> list[str]:  # noqa: ANN401 - JSON
    if form == "option":
        return _option(name, value, dialect)
    if form == "key=value":
        return _key_value(name, value, dialect)
    if value is None:
        return []
    if form == "words":
        return _elements(value, dialect)
    if form == "repeat":
        return [word for text in _elements(value, dialect) for word in _with_text(name, text, dialect)]
    if form == "type=bool":
        # argparse hands the text to bool(), for which every text is true but the empty one.
        return _with_text(name, "True", dialect) if _truth(value) else [_switch(name, dialect) + "="]
    flag = _flag(name, form, dialect)[0 if _truth(value) else 1]
    return [flag] if flag else []


def _flag(name: str, form: str, dialect: str) -> tuple[str, str]:
    """What is given where the value is true, and where it is false."""
    on, off = _switch(name, dialect), f"--no-{name}"
    known = {"flag": (on, ""), "no-flag": ("", off), "flag/no-flag": (on, off)}
    if form in known:
        return known[form]
    match = _NAMED_FLAG.fullmatch(form)
    return (match[1] or "", match[2] or "") if match else ("", "")


def _truth(value: Any) -> bool:  # noqa: ANN401 - JSON
    return value.strip().lower() in _TRUE if isinstance(value, str) else bool(value)


def _switch(name: str, dialect: str) -> str:
    return f"-{name}" if len(name) == 1 and dialect == SDK_V2 else f"--{name}"


def _option(name: str, value: Any, dialect: str) -> list[str]:  # noqa: ANN401 - JSON
    if value is None and dialect != SDK_V3:
        return []
    return _with_text(name, text_of(value, dialect), dialect)


def _with_text(name: str, text: str, dialect: str) -> list[str]:
    switch = _switch(name, dialect)
    if not text.startswith("-"):
        return [switch, text]
    # Behind a space, argparse would take "-x" for an option.
    return [f"{switch}={text}" if switch.startswith("--") else switch + text]


def _key_value(name: str, value: Any, dialect: str) -> list[str]:  # noqa: ANN401 - JSON
    """``name=value``; a mapping is given by dotted names, as Hydra and OmegaConf read them."""
    if value is None and dialect != SDK_V3:
        return []
    if isinstance(value, Mapping):
        return [word for key in sorted(value) for word in _key_value(f"{name}.{key}", value[key], dialect)]
    if isinstance(value, (list, tuple)):
        return [f"{name}={json.dumps(value, separators=(',', ':'))}"]
    return [f"{name}={text_of(value, dialect)}"]


def _elements(value: Any, dialect: str) -> list[str]:  # noqa: ANN401 - JSON
    if isinstance(value, Mapping):
        return [f"{key}={text_of(value[key], dialect)}" for key in sorted(value)]
    if isinstance(value, (list, tuple)):
        return [text_of(item, dialect) for item in value]
    return [text_of(value, dialect)]


def text_of(value: Any, dialect: str = FIRST) -> str:  # noqa: ANN401 - JSON
    """A value as an argument: text as it is, all else as the dialect writes it."""
    if isinstance(value, str):
        return value
    if dialect == SDK_V3:
        return json.dumps(value)
    if value is None:
        return ""
    if dialect == SDK_V2:
        if isinstance(value, Mapping):
            return ",".join(f"{key}={item}" for key, item in sorted(value.items()))
        return str(value)
    return str(value) if isinstance(value, bool) else json.dumps(value)


# The file of the values


def values_text(values: Mapping[str, Any], margin: str = "\n") -> str:
    """The values as JSON that is YAML as well, also for readers of YAML 1.1, to whom 1e-05 is a text.

    It is one line where ``margin`` is none.
    """
    return _json(values, margin) + "\n"


def _json(value: Any, margin: str) -> str:  # noqa: ANN401 - JSON
    inner = margin + "  "
    if isinstance(value, Mapping) and value:
        rows = [f"{_json(str(name), '')}: {_json(value[name], inner)}" for name in sorted(value)]
        return "{" + inner + ("," + inner).join(rows) + margin + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_json(item, margin) for item in value) + "]"
    if isinstance(value, float) and "e" in repr(value) and "." not in repr(value):
        return repr(value).replace("e", ".0e")
    # Not escaped, because JSON writes an emoji as two halves, which YAML does not put together.
    return json.dumps(value, ensure_ascii=False)
