"""Whether a shell script runs nothing that is out of sight; nothing is run.

Rule: a command counts only when it is surely a tool of every system or a file of the script's own folder.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

#: What changes a line's words without running anything, or brings the word after it to its place.
_KEYWORDS = frozenset(
    """
    then do else if elif while until ! { } time exec fi done esac
    """.split()  # noqa: SIM905 - a list of words
)
_TOOLS = frozenset(
    """
    set shift echo printf test [ [[ true false export local read cd pwd exit return sleep seq cat head
    tail cut tr sort uniq wc grep sed awk gawk mawk bc date mkdir rm cp mv touch trap declare unset let
    for case function break continue : mktemp dirname basename ls tee expr wait kill
    """.split()  # noqa: SIM905 - a list of words
)
_RUNNERS = re.compile(r"(python[0-9.]*|bash|sh|source|\.)$")
#: A command inside of a word.
_HIDDEN = re.compile(r"\$\(|`")
_ASSIGNED = re.compile(r"\w+\+?=")
_NOT_COMMANDS = re.compile(r"(?m)(^|\s)#.*$|\(\(.*?\)\)|\d*>&\d|&>|\\\n")


def is_plain_shell(program: Path, folder: Path) -> bool:
    """Whether a shell script runs only tools of every system, and files of its own folder."""
    try:
        text = program.read_text(encoding="utf-8", errors="replace")
        commands = list(_commands(_NOT_COMMANDS.sub(" ", text)))
    except (OSError, ValueError):
        return False
    own = set(re.findall(r"(?m)^\s*(?:function\s+)?([\w-]+)\s*\(\)", text))
    for words in commands:
        if any(map(_HIDDEN.search, words)):
            return False
        if words[0] not in own | _TOOLS and not words[0].startswith(("-", "*")):
            run = (words[1:2] if _RUNNERS.match(words[0]) else words[:1]) or [""]
            if not run[0].endswith((".py", ".sh")) or not (folder / run[0]).is_file():
                return False
    return True


def _commands(text: str) -> Iterator[list[str]]:
    """The words of each command; raises ValueError where quotes are not closed."""
    lexer = shlex.shlex(text, posix=True, punctuation_chars=";|&()\n")
    lexer.whitespace, lexer.commenters, lexer.whitespace_split = " \t\r", "", True
    words: list[str] = []
    for token in (*lexer, ";"):
        if token and not token.strip(";|&()\n"):
            if words:
                yield words
            words = []
        elif words or _HIDDEN.search(token) or not (token in _KEYWORDS or _ASSIGNED.match(token)):
            words.append(token)
