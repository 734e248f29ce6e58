"""What a spec's metrics make of a log: which lines match, what number is read, and what was overlooked.

Rule: it reads as an experiment reads, by the same reader; a pattern is suggested only when it has been tried
on the very line that it was made from.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from trialjob.logs.lines import cut
from trialjob.logs.metrics import LineReader, compiled, expand, matches_of
from trialjob.logs.numbers import NUMBER, is_part, numeral_at, parse_number
from trialjob.logs.reporter import first_mark
from trialjob.logs.visible_text import plain
from trialjob.model.metric import MetricDefinition, Objective, Report, ResourceOrder
from trialjob.orchestrator.ports import FoundReport

#: How a number's own type writes it: `np.float64(0.9)`, `tensor(0.9, …)`, `Decimal('0.9')`.
_CALL = (
    r"(?P<call>(?:(?:np|numpy|torch|jnp)\.)?"
    r"(?:b?float\d{0,3}|u?int\d{0,2}|tensor|array|Array|Decimal)\()?"
)
#: A name, what stands between, and a number: `loss: 0.3`, `'eval_loss': 0.3`, `acc=0.9`.
_NAMED = re.compile(
    rf"(?<![\w/.-])(?P<name>[A-Za-z_][\w/.@-]{{0,63}})(?P<between>[\"']?\s{{0,3}}[:=]\s{{0,8}})"
    rf"{_CALL}(?P<quote>[\"']?)"
    rf"(?P<number>{NUMBER})(?P=quote)"
)
#: Without a colon only after words that are metrics everywhere.
_SPACED = re.compile(
    r"(?<![\w/.-])(?P<name>(?:\w{1,30}[_/-])?(?:loss|acc|accuracy|error|f1|auc|auroc|rmse|mae|mse|r2|score|"
    r"precision|recall|perplexity|ppl|bleu|reward|iou|epoch|step))"
    rf"(?P<between>\s{{1,8}}(?:(?:is|was|of|at)\s{{1,3}})?){_CALL}(?P<quote>)(?P<number>{NUMBER})",
    re.IGNORECASE,
)
#: So many lines are shown of each kind.
EXAMPLES = 3
#: More names are no metrics but data.
_NAMES = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """A line of the log."""

    #: Which one it is for an editor, where a progress bar's states are one.
    number: int
    #: The part that is read, as it is and as a person sees it; nothing of what our reporter wrote.
    text: str
    seen: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A place that a regex matches."""

    line: int
    text: str
    #: What the group has taken, and the number that it is, if it is the whole of one.
    group: str
    number: float | None
    #: The number that it is only a part of, with what stands around it; "" when it is not.
    part_of: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """A pattern for numbers that stand behind a name in the log."""

    name: str
    #: With ``{number}``, as a spec has it.
    regex: str
    #: How often it matches, and the first line where it does.
    lines: int
    line: int
    text: str
    number: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A definition and what it finds."""

    definition: MetricDefinition
    #: How many places in how many lines it matches.
    count: int
    lines: int
    #: The first ones, those with something wrong before the others.
    matches: tuple[Match, ...]
    #: What may have been meant, when it finds nothing or the wrong.
    instead: Suggestion | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogCheck:
    """What a spec's metrics make of a log."""

    lines: int
    checked: tuple[Checked, ...]
    #: As an experiment would read them.
    reports: tuple[Report, ...]
    #: Numbers behind names that no definition reads, in the order of the log.
    overlooked: tuple[Suggestion, ...]
    #: Suggestions for an objective that has no definition and is not reported.
    objective: Suggestion | None
    #: Where the resource of what was found stood: of the first value, and of those behind it.
    orders: tuple[ResourceOrder, ...]


def check_log(log: bytes, definitions: Sequence[MetricDefinition], objective: Objective) -> LogCheck:
    """Read a whole log by expanded ``definitions``."""
    reader = LineReader(definitions, objective)
    found: list[FoundReport] = []
    lines: list[_Line] = []
    for number, text in _numbered(log):
        found += reader.feed(text, 0.0)
        lines.append(_line(number, text))
    reports = [each.report for each in (*found, *reader.end())]
    named = _named(lines)
    matches = {d.name: list(_matches(d, lines)) for d in definitions}
    checked = tuple(_checked(d, matches[d.name], named) for d in definitions)
    read = {(m.line, m.number) for each in matches.values() for m in each}
    overlooked = [each for each in named if (each.line, each.number) not in read]
    sent = {name for report in reports for name in report.metrics}
    unknown = objective.metric not in matches and objective.metric not in sent
    return LogCheck(
        lines=log.count(b"\n") + (not log.endswith(b"\n") and bool(log)),
        checked=checked,
        reports=tuple(reports),
        overlooked=tuple(overlooked),
        objective=_meant(objective.metric, named) if unknown else None,
        orders=tuple(dict.fromkeys(report.order for report in reports if report.order is not None)),
    )


def _numbered(log: bytes) -> Iterator[tuple[int, str]]:
    """The lines, with the numbers that an editor gives them."""
    number, begin = 1, 0
    for line, end in cut(log, final=True):
        yield number, line.decode("utf-8", "replace")
        number += log.count(b"\n", begin, end)
        begin = end


def _line(number: int, text: str) -> _Line:
    mark = first_mark(text)
    text = text if mark is None else text[: mark.start()]
    return _Line(number=number, text=text, seen=plain(text) or (text,))


def _checked(definition: MetricDefinition, matches: list[Match], named: list[Suggestion]) -> Checked:
    wrong = [match for match in matches if match.number is None]
    shown = (wrong + [match for match in matches if match not in wrong[:EXAMPLES]])[:EXAMPLES]
    instead = _meant(definition.name, named) if wrong or not matches else None
    if instead is not None and expand(instead.regex) == definition.regex:
        instead = None  # it is what the spec has
    return Checked(
        definition=definition,
        count=len(matches),
        lines=len({match.line for match in matches}),
        matches=tuple(shown),
        instead=instead,
    )


def _matches(definition: MetricDefinition, lines: Sequence[_Line]) -> Iterator[Match]:
    pattern = compiled(definition.regex)
    for line in lines:
        for found in matches_of(pattern, line.text, line.seen):
            yield Match(
                line=line.number,
                text=found.text,
                group=found.group,
                number=found.number,
                part_of=numeral_at(found.text, *found.span) if found.cut else "",
            )


def _named(lines: Sequence[_Line]) -> list[Suggestion]:
    """A suggestion for each name that stands before a number, tried on the whole log."""
    found: dict[str, Suggestion] = {}
    for line in lines:
        for text in line.seen:
            for match in [*_NAMED.finditer(text), *_SPACED.finditer(text)]:
                name = match["name"]
                if name not in found and len(found) < _NAMES:
                    made = _suggestion(match, line.number, lines)
                    if made is not None:
                        found[name] = made
    return sorted(found.values(), key=lambda each: each.line)


def _suggestion(match: re.Match[str], number: int, lines: Sequence[_Line]) -> Suggestion | None:
    text, value = match.string, parse_number(match["number"])
    regex = _quoted(match) if match["quote"] else _unquoted(match)
    pattern = compiled(expand(regex))
    tried = pattern.search(text)
    if value is None or is_part(text, *match.span("number")):
        return None
    if tried is None or tried[1] != match["number"]:
        return None
    count = sum(any(pattern.search(seen) for seen in line.seen) for line in lines)
    return Suggestion(name=match["name"], regex=regex, lines=count, line=number, text=text, number=value)


def _unquoted(match: re.Match[str]) -> str:
    between = "".join(
        r"\s+" if each.isspace() else re.escape(each) for each in re.split(r"(\s+)", match["between"])
    )
    return rf"\b{re.escape(match['name'])}{between}{re.escape(match['call'] or '')}({{number}})"


def _quoted(match: re.Match[str]) -> str:
    """For a number in quotes: as it stands there, the name's own quotes included."""
    before = match.string[match.start() - 1 : match.start()]
    opening = before if before and before == match["between"][0] else r"\b"
    between = re.sub(r"\s{2,}|\t", r"\\s+", match["between"])
    call = re.escape(match["call"] or "")
    return f"{opening}{re.escape(match['name'])}{between}{call}{match['quote']}({{number}}){match['quote']}"


def _meant(name: str, named: Sequence[Suggestion]) -> Suggestion | None:
    """The one whose name is nearest to a metric's."""
    known = {each.name: each for each in reversed(named)}
    near = near_metric(name, known)
    return None if near is None else known[near]


def near_metric(metric: str, known: Iterable[str], least: float = 0.6) -> str | None:
    """The known name that is most like ``metric``, but for case and what stands between its words."""
    plain = {_plain(name): name for name in known}
    close = difflib.get_close_matches(_plain(metric), plain, n=1, cutoff=least)
    return plain[close[0]] if close else None


def _plain(name: str) -> str:
    """Without what people write in one way or the other."""
    short = re.sub(r"[^a-z0-9]", "", name.lower())
    return short.replace("validation", "val").replace("accuracy", "acc")
