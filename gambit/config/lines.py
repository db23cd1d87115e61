"""Finds the line on which each key of a TOML text stands, so that an error can name it.

tomllib checks the syntax and gives the values but not their places. This scanner runs only over text that tomllib
has accepted, and so it needs to recognise structure, not to judge it.
"""

import re
import tomllib

Path = tuple[str | int, ...]

_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}|' + r"'''.*?'{3,5}|" + r'"(?:[^"\\\n]|\\.)*"|' + r"'[^'\n]*'",
    re.DOTALL,
)
_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR = re.compile(r"[^,\]}#\n]*")


def lines_of_keys(text: str) -> dict[Path, int]:
    """The line (from 1) of every key, table and array element of a valid TOML text, by its path.

    An element of an array, also of an array of tables, has its index in the path.
    """
    scanner = _Scanner(text)
    scanner.document()
    return scanner.lines


class _Scanner:
    """One walk over the text; `at` is the offset of what is read next."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.lines: dict[Path, int] = {}
        self._array_sizes: dict[Path, int] = {}
        self._counted = (0, 1)

    def document(self) -> None:
        """Table headers and key-value pairs until the end of the text."""
        table: Path = ()
        self._skip(_BLANK)
        while self.at < len(self.text):
            table = self._header() if self.text[self.at] == "[" else self._pair(table)
            self._skip(_BLANK)

    def _header(self) -> Path:
        is_array = self.text.startswith("[[", self.at)
        line = self._line()
        self.at += 2 if is_array else 1
        path = self._inside_arrays(self._key())
        self.at += 2 if is_array else 1
        for length in range(1, len(path) + 1):
            self.lines.setdefault(path[:length], line)
        if is_array:
            index = self._array_sizes.get(path, 0)
            self._array_sizes[path] = index + 1
            path = (*path, index)
        self.lines[path] = line
        return path

    def _inside_arrays(self, key: Path) -> Path:
        """The path a header means: a prefix that is an array of tables stands for its last element."""
        path: Path = ()
        for i, part in enumerate(key):
            path = (*path, part)
            if i < len(key) - 1 and path in self._array_sizes:
                path = (*path, self._array_sizes[path] - 1)
        return path

    def _pair(self, table: Path) -> Path:
        line = self._line()
        key = self._key()
        for length in range(1, len(key) + 1):
            self.lines.setdefault((*table, *key[:length]), line)
        self.at += 1  # the equals sign
        self._skip(_SPACE)
        self._value((*table, *key))
        return table

    def _key(self) -> Path:
        parts: list[str | int] = []
        while True:
            self._skip(_SPACE)
            quoted = _STRING.match(self.text, self.at)
            found = quoted or _BARE_KEY.match(self.text, self.at)
            if found is None:
                return tuple(parts)
            self.at = found.end()
            parts.append(tomllib.loads(f"key = {found[0]}")["key"] if quoted else found[0])
            self._skip(_SPACE)
            if not self.text.startswith(".", self.at):
                return tuple(parts)
            self.at += 1

    def _value(self, path: Path) -> None:
        quoted = _STRING.match(self.text, self.at)
        if quoted is not None:
            self.at = quoted.end()
        elif self.text.startswith("[", self.at):
            self._array(path)
        elif self.text.startswith("{", self.at):
            self._inline_table(path)
        else:
            self._skip(_SCALAR)

    def _array(self, path: Path) -> None:
        self.at += 1
        index = 0
        while not self._closes("]"):
            start = self.at
            self.lines[(*path, index)] = self._line()
            self._value((*path, index))
            index += 1
            if self.at == start:
                raise ValueError(f"line {self._line()}: an array without a value; tomllib has to accept the text first")

    def _inline_table(self, path: Path) -> None:
        self.at += 1
        while not self._closes("}"):
            self._pair(path)

    def _closes(self, bracket: str) -> bool:
        """Step over blanks and a comma; whether the closing bracket came, and is stepped over too."""
        self._skip(_BLANK)
        if self.text.startswith(",", self.at):
            self.at += 1
            self._skip(_BLANK)
        if self.at < len(self.text) and self.text[self.at] != bracket:
            return False
        self.at += 1
        return True

    def _skip(self, pattern: re.Pattern[str]) -> None:
        found = pattern.match(self.text, self.at)
        if found:
            self.at = found.end()

    def _line(self) -> int:
        """The line of `at`; counted on from where it was last asked for, as `at` only grows."""
        offset, line = self._counted
        line += self.text.count("\n", offset, self.at)
        self._counted = (self.at, line)
        return line
