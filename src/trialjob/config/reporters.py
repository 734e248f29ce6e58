"""Which metrics a trial's own code can report, as far as its source shows; nothing is run.

Rule: that nothing else reports is said only where all that runs is in sight. A package that is not known,
a program started by another, names that are made at run time: with any of these everything may be reported.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache, reduce
from operator import or_
from pathlib import Path

from trialjob.config.files import MOST_BYTES, code_files
from trialjob.config.script_options import parsed
from trialjob.config.shell_commands import is_plain_shell

#: Prose, and the spec itself, speak of reporters without being one.
_PROSE = (".md", ".rst", ".pyc", ".csv", ".tsv")
_DATA = (".yaml", ".yml", ".json", ".toml", ".cfg", ".ini")
_TRACE = re.compile(rb"trialjob[.]reporting|from trialjob import|\[trialjob\]|tune-metric|syne[_-]tune")
_IN_DATA = re.compile(rb"trialjob[.]reporting|syne[_-]tune|tune-metric")
#: Packages that report nothing by themselves.
_PACKAGES = frozenset(
    """
    numpy scipy pandas polars pyarrow sklearn joblib xgboost lightgbm catboost torch torchvision
    torchaudio torchmetrics tensorflow tf_keras keras jax jaxlib flax optax haiku transformers datasets
    evaluate tokenizers peft accelerate trl sentence_transformers timm lightning pytorch_lightning fsspec
    boto3 botocore sagemaker_training mlflow wandb tensorboard tensorboardX tqdm matplotlib seaborn PIL
    cv2 skimage nltk spacy gensim statsmodels yaml requests psutil safetensors einops gymnasium gym dotenv
    colorama rich typing_extensions loguru tabulate h5py click
    """.split()  # noqa: SIM905 - a list of words
)
_STARTERS = frozenset({"subprocess", "runpy", "pty", "code"})
_OF_OS = re.compile(r"(system|popen|exec\w*|spawn\w*|posix_spawnp?)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reporting:
    """What a folder of code reports."""

    #: The metrics that stand in its calls of a reporter by name.
    names: frozenset[str] = frozenset()
    #: Nothing else can be reported.
    is_all: bool = True
    #: A reporter is in sight.
    is_seen: bool = False

    def __or__(self, other: Reporting) -> Reporting:
        return Reporting(
            names=self.names | other.names,
            is_all=self.is_all and other.is_all,
            is_seen=self.is_seen or other.is_seen,
        )


#: A reporter whose names are not in sight, and something that is out of sight itself.
_ANYTHING = Reporting(is_all=False, is_seen=True)
_UNKNOWN = Reporting(is_all=False)
_NOTHING = Reporting()


def reporting_of(folder: Path, program: str | None) -> Reporting:
    """What the code in ``folder`` can report; ``program`` is the file that is run, where that is known."""
    paths = tuple(code_files(folder))
    return _of_program(folder, program) | _of_files(folder, paths, tuple(map(_stamp, paths)))


def _stamp(path: Path | None) -> tuple[int, int] | None:
    """What is another once the file was written again."""
    try:
        status = path.stat() if path is not None else None
    except OSError:
        return None
    return status and (status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=4)  # one command asks several times, and a thousand files take seconds
def _of_files(folder: Path, paths: tuple[Path | None, ...], _stamps: object) -> Reporting:
    texts: list[Reporting] = []
    modules: list[_Module] = []
    for path in paths:
        if path is not None and path.name.endswith(_PROSE):
            continue
        tree = parsed(path) if path is not None and path.suffix == ".py" else None
        if path is None:
            texts.append(_UNKNOWN)
        elif tree is not None:
            modules.append(_module(tree, path.parent, folder))
        else:
            texts.append(_of_text(path, _IN_DATA if path.name.endswith(_DATA) else _TRACE))
            texts += [_UNKNOWN] if path.suffix == ".py" else []
    # One module may take the reporter from another.
    speakers = frozenset[str]().union(*(module.speakers for module in modules))
    said = [_said(module.tree, speakers) for module in modules] if speakers else []
    return reduce(or_, [*texts, *(module.found for module in modules), *said], Reporting())


def _of_program(folder: Path, program: str | None) -> Reporting:
    if program is None or program.endswith(".py"):
        return Reporting()
    if program.endswith(".sh") and is_plain_shell(folder / program, folder):
        return Reporting()
    return _UNKNOWN


def _of_text(path: Path, trace: re.Pattern[bytes]) -> Reporting:
    try:
        if not path.is_file():
            return Reporting()
        with path.open("rb") as file:
            return _ANYTHING if trace.search(file.read(MOST_BYTES)) else Reporting()
    except OSError:
        return _UNKNOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class _Module:
    """A Python file, and by which names it calls a reporter."""

    tree: ast.Module
    found: Reporting
    speakers: frozenset[str]


def _module(tree: ast.Module, home: Path, folder: Path) -> _Module:
    found, makers, speakers = Reporting(), set[str](), set[str]()
    for node in ast.walk(tree):
        match node:
            case ast.ImportFrom(module="trialjob.reporting", names=[ast.alias(name="report", asname=alias)]):
                speakers.add(alias or "report")
            case ast.ImportFrom(module="syne_tune", names=[ast.alias(name="Reporter", asname=alias)]):
                makers.add(alias or "Reporter")
            case ast.ImportFrom(module="trialjob", names=names):
                # It is the one who tunes, in the same folder, unless it takes the reporter's home.
                found |= _ANYTHING if any(each.name in ("reporting", "*") for each in names) else Reporting()
            case ast.ImportFrom(module=module, level=0):
                found |= _of_import(module or "", home, folder)
            case ast.Import(names=names):
                found = reduce(or_, (_of_import(each.name, home, folder) for each in names), found)
            case _ if (more := _of_node(node)) is not _NOTHING:  # most nodes, so nothing is made for them
                found |= more
    return _Module(tree=tree, found=found, speakers=frozenset(speakers | _made_by(tree, makers)))


def _of_node(node: ast.AST) -> Reporting:
    """What may be reported by what is neither an import nor a call of a reporter."""
    match node:
        case ast.Constant(value=str(text)) if "[trialjob]" in text or "tune-metric" in text:
            return _ANYTHING
        case ast.Attribute(attr="reporting"):
            return _ANYTHING
        case ast.Call(func=ast.Name(id="exec" | "eval" | "__import__")) | ast.Attribute(attr="import_module"):
            return _UNKNOWN
        case ast.Attribute(value=ast.Name(id="os"), attr=attr) if _OF_OS.match(attr):
            return _UNKNOWN
        case _:
            return _NOTHING


def _of_import(module: str, home: Path, folder: Path) -> Reporting:
    """What may be reported by an imported module itself."""
    top = module.partition(".")[0]
    if module == "trialjob" or module.startswith("trialjob.apps"):
        return Reporting()
    if top in ("trialjob", "syne_tune"):
        return _ANYTHING
    if top in _STARTERS:
        return _UNKNOWN
    if top in sys.stdlib_module_names or top in _PACKAGES:
        return Reporting()
    ours = any((place / f"{top}.py").is_file() or (place / top).is_dir() for place in (home, folder))
    return Reporting() if ours else _UNKNOWN


def _made_by(tree: ast.Module, makers: set[str]) -> set[str]:
    """The variables that hold a reporter: ``report = Reporter()``."""
    return {
        target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)
        if isinstance(node.value.func, ast.Name) and node.value.func.id in makers
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def _said(tree: ast.Module, speakers: frozenset[str]) -> Reporting:
    """The names in the calls of ``speakers``; anything, once one is used otherwise than called by names."""
    found = Reporting()
    called: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _name_of(node.func) in speakers:
            called.add(node.func)
            found |= _names_in(node)
    for node in ast.walk(tree):
        is_read = isinstance(getattr(node, "ctx", None), ast.Load) and _name_of(node) in speakers
        if is_read and node not in called:
            found |= _ANYTHING
    return found


def _name_of(node: ast.AST) -> str:
    """``report`` of ``report`` and of ``helpers.report``: another module may hand it on."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""


def _names_in(call: ast.Call) -> Reporting:
    names: set[str] = set()
    for word in call.keywords:
        keys = {word.arg} if word.arg is not None else _keys(word.value)
        if keys is None:
            return _ANYTHING
        names |= keys
    return _ANYTHING if call.args else Reporting(names=frozenset(names), is_seen=True)


def _keys(node: ast.expr) -> set[str] | None:
    """The keys of a dictionary that is written out: ``report(**{"val/loss": loss})``."""
    if not isinstance(node, ast.Dict):
        return None
    keys = {key.value for key in node.keys if isinstance(key, ast.Constant) and isinstance(key.value, str)}
    return keys if len(keys) == len(node.keys) else None


def returned_by(folder: Path, function: str) -> Reporting:
    """What ``module:name`` returns, which is reported too."""
    module, _, name = function.partition(":")
    place = folder / module.replace(".", "/")
    path = next((path for path in (place.with_suffix(".py"), place / "__init__.py") if path.is_file()), None)
    tree = parsed(path) if path is not None else None
    for node in tree.body if tree is not None else ():
        if isinstance(node, ast.FunctionDef) and node.name == name and not node.decorator_list:
            return reduce(or_, map(_of_return, _own_nodes(node)), Reporting())
    return _ANYTHING


def _of_return(node: ast.AST) -> Reporting:
    if not isinstance(node, ast.Return) or node.value is None:
        return Reporting()
    if isinstance(node.value, ast.Constant) and node.value.value is None:
        return Reporting()
    keys = _keys(node.value)
    return _ANYTHING if keys is None else Reporting(names=frozenset(keys), is_seen=True)


def _own_nodes(function: ast.FunctionDef) -> Iterator[ast.AST]:
    """Its nodes without those of functions inside of it, whose returns are not its own."""
    waiting: list[ast.AST] = [*function.body]
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            waiting += ast.iter_child_nodes(node)
