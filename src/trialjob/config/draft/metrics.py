"""Which metrics a program has: what it reports, what its log shows, or what its source would print.

Rule: regexes are found by the check of a log, on a real one or on lines made of the source's own ``print``
with a number for each value; so a regex that is written has been tried.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trialjob.config.draft.literals import literal, name_of
from trialjob.config.draft.shell import started
from trialjob.config.reporters import reporting_of
from trialjob.config.script_options import parsed, source_files
from trialjob.logs.check import Suggestion, check_log
from trialjob.model.metric import Mode, Objective
from trialjob.reporting.metric_values import mode_by_name

_PRINTERS: Final = frozenset(
    {"print", "info", "warning", "debug", "log", "echo", "write", "secho", "success"}
)
_PERCENT: Final = re.compile(r"%[-+ #0]*\d*(?:\.\d+)?[diouxXeEfFgGrsa]")
_BRACES: Final = re.compile(r"\{[^{}]*\}")
_SHELL_VALUE: Final = re.compile(r"%[-+]?\d*(?:\.\d+)?[dfgs]|\$\{[^}]*\}|\$\([^)]*\)|\$\w+")
_VALUE, _COUNT = "0.5625", "3"
_COUNTS: Final = re.compile(r"epoch|step|iter|round", re.IGNORECASE)
_PROGRESS: Final = ("epoch", "step", "iteration", "round", "iter")
#: What names that are no words say: those that stand in others, as ``wer`` in ``answer``, say nothing there.
_LESS: Final = re.compile(r"loss|err|mse|mae|mape|perplexity|ppl|nll|deviance|bpc", re.IGNORECASE)
_HELD_OUT: Final = re.compile(r"val|eval|test|dev|holdout|cv", re.IGNORECASE)
_MORE: Final = re.compile(
    r"acc|f1|auc|auroc|precision|recall|r2|score|bleu|rouge|map|iou|dice|reward|return|mcc|ndcg|kappa",
    re.IGNORECASE,
)
_TRAINED: Final = re.compile(r"train|running|batch", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A metric, and how it is found."""

    name: str
    #: "" for one that the program reports itself.
    regex: str = ""
    #: ``min`` or ``max``, where a person has said it.
    way: str = ""

    @property
    def mode(self) -> Mode:
        """Which way it is better."""
        if self.way:
            return Mode(self.way)
        return mode_by_name(self.name) or (Mode.MIN if _LESS.search(self.name) else Mode.MAX)

    @property
    def is_scored(self) -> bool:
        """Whether its name says which way it is better."""
        name = self.name
        return bool(mode_by_name(name) or _LESS.search(name) or _MORE.search(name))


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """All that could be optimised, the likeliest first, and what counts progress."""

    found: tuple[Metric, ...] = ()
    progress: Metric | None = None
    #: Where they were seen, for a person.
    where: str = ""


def metrics_of(folder: Path, program: str, log: bytes | None) -> Metrics:
    """What is in a log where there is one; else in the program's own reports; else in what it prints."""
    if log is not None:
        return _of_log(log, "the log")
    if reported := reporting_of(folder, program).names:
        metrics = [Metric(name=name) for name in sorted(reported)]
        return _sorted(metrics, "its calls of report")
    inner = started(folder, program)
    programs = [program, inner.program] if inner else [program]
    text = "\n".join(line for each in programs for line in _lines(folder, each))
    return _of_log(text.encode(), "what it prints")


def _of_log(log: bytes, where: str) -> Metrics:
    nothing = Objective(metric="", mode=Mode.MAX)
    checked = check_log(log, (), nothing)
    sent = sorted({name for report in checked.reports for name in report.metrics})
    metrics = [Metric(name=name) for name in sent]
    metrics += [_metric(each) for each in checked.overlooked if each.name not in sent]
    return _sorted(metrics, where)


def _metric(found: Suggestion) -> Metric:
    return Metric(name=found.name, regex=found.regex)


def _sorted(metrics: Sequence[Metric], where: str) -> Metrics:
    progress = next((each for word in _PROGRESS for each in metrics if each.name.lower() == word), None)
    rest = [each for each in metrics if each.is_scored and each is not progress]
    return Metrics(found=tuple(sorted(rest, key=_rank)), progress=progress, where=where)


def _rank(metric: Metric) -> tuple[bool, bool, bool]:
    """What was held out before what was trained on, and accuracies before losses."""
    return (
        bool(_TRAINED.search(metric.name)),
        not _HELD_OUT.search(metric.name),
        metric.mode is Mode.MIN,
    )


# Lines as the source would print them


def _lines(folder: Path, program: str) -> Iterator[str]:
    """A line for each call that prints; and for libraries that print by themselves, theirs."""
    if not program.endswith(".py"):
        yield from _shell_lines((folder / program).read_text("utf-8", "replace"))
    for path in source_files(folder, program):
        tree = parsed(path)
        if tree is None:
            continue
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            if name_of(call) in _PRINTERS and call.args:
                yield from _printed(call).split("\n")
        yield from _by_libraries(tree)


def _printed(call: ast.Call) -> str:
    first = call.args[0]
    if (
        isinstance(first, ast.Constant)
        and isinstance(first.value, str)
        and "%" in first.value
        and call.args[1:]
    ):
        return _filled(first.value)  # logging's own way
    words = [_text(each) for each in call.args]
    between = literal(next((word.value for word in call.keywords if word.arg == "sep"), None))
    return (between if isinstance(between, str) else " ").join(words)


def _text(node: ast.expr, before: str = "") -> str:
    match node:
        case ast.Constant(value=value):
            return str(value)
        case ast.JoinedStr(values=parts):
            found = ""
            for each in parts:
                found += _text(each, found)
            return found
        case ast.BinOp(left=ast.Constant(value=str(text)), op=ast.Mod()):
            return _filled(text)
        case ast.Call(func=ast.Attribute(value=ast.Constant(value=str(text)), attr="format")):
            return _BRACES.sub(lambda each: _number(text[: each.start()]), text)
        case ast.BinOp(left=left, op=ast.Add(), right=right) if _is_text(left) or _is_text(right):
            return _text(left) + _text(right)
        case ast.IfExp(body=body):
            return _text(body)
        case ast.Call(func=ast.Attribute(attr="dumps"), args=[ast.Dict(keys=keys), *_]):
            return _pairs(keys, '"')
        case ast.Dict(keys=keys):
            return _pairs(keys, "'")
        case ast.FormattedValue(value=value):
            # `f"{epoch=}"` is a name and a value to the parser, too.
            return _number(before or ast.unparse(value))
        case _:
            return _number(ast.unparse(node))


def _pairs(keys: Sequence[ast.expr | None], quote: str) -> str:
    """A dictionary as it is printed: by Python in single quotes, and as JSON in double ones."""
    names = [str(literal(key)) for key in keys]
    return "{" + ", ".join(f"{quote}{name}{quote}: {_number(name)}" for name in names) + "}"


def _is_text(node: ast.expr) -> bool:
    match node:
        case ast.Constant(value=str()) | ast.JoinedStr():
            return True
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _is_text(left) or _is_text(right)
        case _:
            return False


def _filled(text: str) -> str:
    return _PERCENT.sub(lambda each: _number(text[: each.start()]), text)


def _number(before: str) -> str:
    """A number for a value: a whole one for what counts."""
    last = re.findall(r"[A-Za-z]+", before)
    return _COUNT if last and _COUNTS.search(last[-1]) else _VALUE


def _shell_lines(text: str) -> Iterator[str]:
    for line in text.splitlines():
        words = line.strip()
        if words.startswith(("echo ", "printf ")):
            yield _SHELL_VALUE.sub(_VALUE, words.partition(" ")[2].strip("\"'"))


def _by_libraries(tree: ast.Module) -> Iterator[str]:
    """Lines of libraries that print what they are set to measure."""
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        given = {word.arg: word.value for word in call.keywords if word.arg}
        match name_of(call):
            case "set_postfix":
                yield " ".join(f"{name}={_number(name)}" for name in given)
            case "fit" if {"validation_data", "validation_split"} & given.keys() and literal(
                given.get("verbose")
            ) != 0:
                names = ["loss", *_compiled(tree)]
                yield " - ".join(f"{name}: {_VALUE}" for name in [*names, *(f"val_{name}" for name in names)])
            case "train" if "evals" in given and isinstance(given["evals"], ast.List | ast.Tuple):
                yield from _boosted(tree, given["evals"])
            case "Trainer" | "SFTTrainer" | "Seq2SeqTrainer" if "eval_dataset" in given or _evaluates(tree):
                computed = [
                    "eval_loss",
                    *(f"eval_{name}" for name in _computed(tree, given.get("compute_metrics"))),
                ]
                yield "{" + ", ".join(f"'{name}': {_VALUE}" for name in computed) + ", 'epoch': 1.0}"
            case "log" if (
                isinstance(call.func, ast.Attribute) and name_of(call.func.value) == "self" and call.args
            ):
                name = literal(call.args[0])
                if isinstance(name, str) and literal(given.get("prog_bar")) is True:
                    yield f"{name}={_VALUE}"


def _evaluates(tree: ast.Module) -> bool:
    return any(isinstance(node, ast.Call) and name_of(node) == "evaluate" for node in ast.walk(tree))


def _compiled(tree: ast.Module) -> list[str]:
    """The metrics of Keras's ``compile``."""
    found: list[str] = []
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and name_of(call) == "compile":
            for word in call.keywords:
                named = literal(word.value) if word.arg == "metrics" else None
                found += [each for each in named if isinstance(each, str)] if isinstance(named, list) else []
    return ["accuracy" if name == "acc" else name for name in found]


def _boosted(tree: ast.Module, evals: ast.List | ast.Tuple) -> Iterator[str]:
    """XGBoost's line of a round; its metric is written among the parameters."""
    names = [
        literal(pair.elts[1]) for pair in evals.elts if isinstance(pair, ast.Tuple) and len(pair.elts) > 1
    ]
    metric = next(
        (
            literal(value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Dict)
            for key, value in zip(node.keys, node.values, strict=True)
            if literal(key) == "eval_metric"
        ),
        None,
    )
    if isinstance(metric, str):
        yield "[3]\t" + "\t".join(f"{name}-{metric}:{_VALUE}" for name in names)


def _computed(tree: ast.Module, function: ast.expr | None) -> Iterator[str]:
    """The keys that ``compute_metrics`` returns."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name == name_of(function):
            for each in ast.walk(node):
                if isinstance(each, ast.Return) and isinstance(each.value, ast.Dict):
                    yield from (str(key) for key in map(literal, each.value.keys) if isinstance(key, str))
