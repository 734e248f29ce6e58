"""What a spec's metrics make of a log: which lines match, what number is read, and what was overlooked.

Rule: it reads as an experiment reads, by the same reader; a pattern is suggested only when it has been tried
on the very line that it was made from.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from trialjob.model.metric import MetricDefinition, Objective, Report
from trialjob.reporting.metrics import LONGEST_LINE, NUMBER, LineReader, compiled, expand, parse_number

#: What a number goes on with when a group has taken its beginning only.
_GOES_ON = re.compile(r"[0-9]|\.[0-9]|[eE][-+]?[0-9]")
#: A name, what stands between, and a number: `loss: 0.3`, `'eval_loss': 0.3`, `acc=0.9`.
_NAMED = re.compile(
    rf"(?<![\w/.-])(?P<name>[A-Za-z_][\w/.@-]{{0,63}})(?P<between>[\"']?\s{{0,3}}[:=]\s{{0,8}})(?P<number>{NUMBER})"
)
#: Without a colon only after words that are metrics everywhere.
_SPACED = re.compile(
    r"(?<![\w/.-])(?P<name>(?:\w{1,30}[_/-])?(?:loss|acc|accuracy|error|f1|auc|auroc|rmse|mae|mse|r2|score|"
    r"precision|recall|perplexity|ppl|bleu|reward|iou|epoch|step))"
    rf"(?P<between>\s{{1,8}}(?:(?:is|was|of|at)\s{{1,3}})?)(?P<number>{NUMBER})",
    re.IGNORECASE,
)
#: So many lines are shown of each kind.
EXAMPLES = 3
#: More names are no metrics but data.
_NAMES = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A line that a regex matches."""

    line: int
    text: str
    #: What the group has taken, and the number that it is, if it is one.
    group: str
    number: float | None
    #: The number in the line goes on behind the group.
    cut: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """A pattern for numbers that stand behind a name in the log."""

    name: str
    #: With ``{number}``, as a spec has it.
    regex: str
    #: How many lines it matches, and the first of them.
    lines: int
    line: int
    text: str
    number: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A definition and what it finds."""

    definition: MetricDefinition
    count: int
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


def check_log(text: str, definitions: Sequence[MetricDefinition], objective: Objective) -> LogCheck:
    """Read a whole log by expanded ``definitions``."""
    lines = text.split("\n")
    if lines and not lines[-1]:
        lines.pop()
    reader = LineReader(definitions, objective)
    reports = [report for line in lines if (report := reader.feed(line, 0.0)) is not None]
    named = _named(lines)
    matches = {d.name: list(_matches(d, lines)) for d in definitions}
    checked = tuple(_checked(d, matches[d.name], named) for d in definitions)
    read = {(m.line, m.number) for found in matches.values() for m in found}
    overlooked = [each for each in named if (each.line, each.number) not in read]
    sent = {name for report in reports for name in report.metrics}
    unknown = objective.metric not in matches and objective.metric not in sent
    return LogCheck(
        lines=len(lines),
        checked=checked,
        reports=tuple(reports),
        overlooked=tuple(overlooked),
        objective=_meant(objective.metric, named) if unknown else None,
    )


def _checked(definition: MetricDefinition, matches: list[Match], named: list[Suggestion]) -> Checked:
    wrong = [match for match in matches if match.number is None or match.cut]
    shown = (wrong + [match for match in matches if match not in wrong[:EXAMPLES]])[:EXAMPLES]
    instead = _meant(definition.name, named) if wrong or not matches else None
    return Checked(definition=definition, count=len(matches), matches=tuple(shown), instead=instead)


def _matches(definition: MetricDefinition, lines: Sequence[str]) -> Iterator[Match]:
    pattern = compiled(definition.regex)
    for number, line in enumerate(lines, start=1):
        text = line[-LONGEST_LINE:]
        found = pattern.search(text)
        if found is None or "[trialjob] {" in text:
            continue
        group = found[1] or ""
        value = parse_number(group)
        cut = value is not None and _GOES_ON.match(text, found.end(1)) is not None
        yield Match(line=number, text=text, group=group, number=value, cut=cut)


def _named(lines: Sequence[str]) -> list[Suggestion]:
    """A suggestion for each name that stands before a number, tried on the whole log."""
    found: dict[str, Suggestion] = {}
    for number, line in enumerate(lines, start=1):
        text = line[-LONGEST_LINE:]
        if "[trialjob] {" in text:
            continue
        for match in [*_NAMED.finditer(text), *_SPACED.finditer(text)]:
            name = match["name"]
            if name not in found and len(found) < _NAMES:
                made = _suggestion(match, number, text, lines)
                if made is not None:
                    found[name] = made
    return sorted(found.values(), key=lambda each: each.line)


def _suggestion(match: re.Match[str], number: int, text: str, lines: Sequence[str]) -> Suggestion | None:
    between = "".join(
        r"\s+" if each.isspace() else re.escape(each) for each in re.split(r"(\s+)", match["between"])
    )
    regex = rf"\b{re.escape(match['name'])}{between}({{number}})"
    pattern, value = compiled(expand(regex)), parse_number(match["number"])
    tried = pattern.search(text)
    if value is None or tried is None or tried[1] != match["number"]:
        return None
    count = sum(pattern.search(line[-LONGEST_LINE:]) is not None for line in lines)
    return Suggestion(name=match["name"], regex=regex, lines=count, line=number, text=text, number=value)


def _meant(name: str, named: Sequence[Suggestion]) -> Suggestion | None:
    """The one whose name is nearest to a metric's."""
    plain = {_plain(each.name): each for each in reversed(named)}
    near = difflib.get_close_matches(_plain(name), list(plain), n=1, cutoff=0.6)
    return plain[near[0]] if near else None


def _plain(name: str) -> str:
    """Without what people write in one way or the other."""
    short = re.sub(r"[^a-z0-9]", "", name.lower())
    return short.replace("validation", "val").replace("accuracy", "acc")
