"""A terminal small enough to trust: text, cursor up and down, erase, wrap; reflows on a resize."""

from __future__ import annotations

import re

_TOKEN = re.compile(r"\x1b\[(\??)([0-9;]*)([A-Za-z])|([\r\n])|([^\x1b\r\n])", re.DOTALL)


class Vt:
    """A screen without a bottom, of characters one column wide."""

    def __init__(self, columns: int) -> None:
        self.columns = columns
        self.rows: list[str] = [""]
        self.wrapped: list[bool] = [False]
        """Whether a row goes on in the next one."""
        self.row = self.column = 0
        self.autowrap = True
        self.colours: set[str] = set()

    def size(self) -> tuple[int, int]:
        """Return its columns, and rows as if it had a bottom."""
        return self.columns, 24

    def write(self, text: str) -> None:
        """Do what a program sends; ValueError for an escape no test should see."""
        at = 0
        while at < len(text):
            token = _TOKEN.match(text, at)
            if token is None:
                raise ValueError(f"not understood: {text[at : at + 10]!r}")
            at = token.end()
            private, numbers, order, control, char = token.groups()
            if order:
                self._order(private, numbers, order)
            elif control == "\r":
                self.column = 0
            elif control == "\n":
                self._down()
                self.column = 0  # as a terminal line discipline sends it
            else:
                self._put(char)

    def flush(self) -> None:
        """Nothing waits."""

    def resize(self, columns: int) -> None:
        """Wrap the rows anew, as terminals of today do; the cursor stays behind its character."""
        logical: list[str] = []
        begin = True
        cursor = (0, 0)
        for number, text in enumerate(self.rows):
            if begin:
                logical.append("")
            if number == self.row:
                cursor = (len(logical) - 1, len(logical[-1]) + self.column)
            logical[-1] += text
            begin = not self.wrapped[number]
        self.columns, self.rows, self.wrapped = columns, [], []
        for number, text in enumerate(logical):
            parts = [text[i : i + columns] for i in range(0, max(len(text), 1), columns)]
            if number == cursor[0]:
                row = min(cursor[1] // columns, len(parts) - 1)
                self.row, self.column = len(self.rows) + row, cursor[1] - row * columns
            self.rows += parts
            self.wrapped += [True] * (len(parts) - 1) + [False]

    def shown(self) -> list[str]:
        """Return the rows, without empty ones at the end."""
        rows = [row.rstrip() for row in self.rows]
        while rows and not rows[-1]:
            rows.pop()
        return rows

    def _order(self, private: str, numbers: str, order: str) -> None:
        if private:
            if numbers == "7":
                self.autowrap = order == "h"
            return
        if order == "m":
            self.colours.add(numbers)
            return
        count = int(numbers or 1)
        if order == "A":
            self.row = max(self.row - count, 0)
        elif order == "B":
            self.row = min(self.row + count, len(self.rows) - 1)
        elif order == "K" and not numbers:
            self._cut()
        elif order == "J" and not numbers:
            self._cut()
            del self.rows[self.row + 1 :], self.wrapped[self.row + 1 :]
        else:
            raise ValueError(f"unexpected escape [{private}{numbers}{order}")

    def _cut(self) -> None:
        self.rows[self.row] = self.rows[self.row][: self.column]
        self.wrapped[self.row] = False

    def _down(self) -> None:
        self.row += 1
        if self.row == len(self.rows):
            self.rows.append("")
            self.wrapped.append(False)

    def _put(self, char: str) -> None:
        if self.column >= self.columns:
            if self.autowrap:
                self.wrapped[self.row] = True
                self._down()
                self.column = 0
            else:
                self.column = self.columns - 1
        row = self.rows[self.row].ljust(self.column)
        self.rows[self.row] = row[: self.column] + char + row[self.column + 1 :]
        self.column += 1
