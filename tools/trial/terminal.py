"""Calm output: numbered sections, one line a claim, tables. Colour only on a terminal that wants it."""
import os
import sys
import time


class Screen:
    def __init__(self, out=sys.stdout):
        self.out = out
        self.has_colour = out.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
        self.failures = []
        self._sections = 0
        self._since = time.monotonic()

    def section(self, text):
        self._sections += 1
        self._print(f"\n{self._bold(f'{self._sections}. {text}')}")
        self._since = time.monotonic()

    def claim(self, held, text):
        """One thing that had to be true; returns whether it was."""
        now = time.monotonic()
        took, self._since = now - self._since, now
        sign = self._colour("32", "ok    ") if held else self._colour("31;1", "FAILED")
        self._print(f"   {sign} {text:<88} {self._dim(f'{took:5.1f} s')}")
        if not held:
            self.failures.append(text)
        return held

    def text(self, text="", dim=False):
        for line in text.splitlines() or [""]:
            self._print(f"          {self._dim(line) if dim else line}".rstrip())

    def plain(self, text):
        self._print(text)

    def table(self, rows):
        """The first row is the head; columns are as wide as they need."""
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        for number, row in enumerate(rows):
            line = "   ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
            self.text(line, dim=number == 0)

    def error(self, text):
        first, *rest = text.splitlines() or [""]
        self._print(f"   {self._colour('31;1', 'FAILED')} {first}")
        for line in rest:
            self._print(f"          {line}")
        self.failures.append(first)

    def _print(self, line):
        print(line, file=self.out, flush=True)

    def _colour(self, code, text):
        return f"\033[{code}m{text}\033[0m" if self.has_colour else text

    def _bold(self, text):
        return self._colour("1", text)

    def _dim(self, text):
        return self._colour("2", text)
