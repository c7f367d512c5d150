"""Text in a terminal: lines break between words and are indented to the end of their label."""

from __future__ import annotations

import os
import pty

from ogive.cli.terminal import print_text, wrap


def test_lines_break_between_words_after_their_label() -> None:
    assert wrap("short", 20) == "short"
    assert wrap("best      a text that does not fit here", 30) == "best      a text that does not\n          fit here"
    assert wrap("  - one two three four", 12) == "  - one two\n    three\n    four"
    assert wrap("time 1\nno_label_but_a_word_without_spaces x", 12) == "time 1\nno_label_but_a_word_without_spaces\nx"
    assert wrap("label text text", 10, indent=3) == "label text\n   text"


def test_only_a_terminal_gets_wrapped_text() -> None:
    text = "word " * 60 + "end"
    controller, terminal = pty.openpty()
    with os.fdopen(terminal, "w") as screen:
        print_text(text, file=screen)
        shown = os.read(controller, 10_000).decode().splitlines()
    os.close(controller)
    assert len(shown) > 1
    assert " ".join(line.strip() for line in shown) == text


def test_text_for_a_pipe_is_unchanged() -> None:
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as pipe:
        print_text("word " * 60 + "end", file=pipe)
    with os.fdopen(reader) as pipe:
        assert pipe.read() == "word " * 60 + "end\n"
