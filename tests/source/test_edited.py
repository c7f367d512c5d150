"""Files that are edited after their import: a worker would import other code than the loaded one."""

from __future__ import annotations

from typing import Any

import pytest

from ogive.source import identify_code

TEXT = """
import enum
import functools
from dataclasses import dataclass
import cfg
from cfg import WIDTH as W

LR = 0.1
NAME, SHAPE = "a", (3, -4)
SIZES = [1, 2]
MEMO = {}
COMPUTED = 2 * 3
if LR > 0:
    EPOCHS = 1
else:
    EPOCHS = 2
NUMBER = 1
NUMBER += 1
for INDEX in range(3):
    pass

def traced(function):
    @functools.wraps(function)
    def wrapper(x, rate=None):
        return function(x)
    return wrapper

@traced
def step(x, rate=0.5):
    return x

step.width = 3
step.width = 4

class Net:
    depth = 3
    size = 1
    class Inner:
        kind = "x"

Net.size = 2

@dataclass(slots=True)
class Config:
    rate: float = 0.5

class Level(enum.Enum):
    LOW = 1

def use(x, momentum=0.9, *, decay=0.01):
    MEMO[x] = Net.depth
    return LR, NAME, SHAPE, SIZES, COMPUTED, EPOCHS, NUMBER, INDEX, W, cfg.BATCH, Net.Inner, Config, Level.LOW, step
"""
CFG = "WIDTH = 8\nBATCH = 32\n"


def test_an_unchanged_file_contains_the_loaded_code(modules: Any) -> None:
    module = modules.load({"m": TEXT, "cfg": CFG})
    module.use(1)
    result = identify_code([("train function", module.use)])
    assert result.missing == ()
    assert set(result.files) == {str(modules.folder / "m.py"), str(modules.folder / "cfg.py")}


@pytest.mark.parametrize(
    ("file", "before", "after", "variable"),
    [
        ("m", "LR = 0.1", "LR = 0.2", "LR"),
        ("m", "LR = 0.1", "LR = 1", "LR"),
        ("m", '"a", (3', '"b", (3', "NAME"),
        ("m", "-4", "4", "SHAPE"),
        ("m", "[1, 2]", "[1, 3]", "SIZES"),
        ("m", "EPOCHS = 1", "EPOCHS = 3", "EPOCHS"),
        ("m", "depth = 3", "depth = 4", "Net.depth"),
        ("m", '"x"', '"y"', "Net.Inner.kind"),
        ("m", "rate: float = 0.5", "rate: float = 0.6", "Config.rate"),
        ("m", "LOW = 1", "LOW = 2", "Level.LOW"),
        ("m", "momentum=0.9", "momentum=0.8", "use(momentum)"),
        ("m", "decay=0.01", "decay=0.02", "use(decay)"),
        ("cfg", "WIDTH = 8", "WIDTH = 9", "WIDTH"),
        ("cfg", "BATCH = 32", "BATCH = 64", "BATCH"),
    ],
)
def test_a_constant_that_was_edited_after_its_import_is_not_identified(
    modules: Any, file: str, before: str, after: str, variable: str
) -> None:
    module = modules.load({"m": TEXT, "cfg": CFG})
    modules.edit(before, after, file)
    (line,) = identify_code([("train function", module.use)]).missing
    assert line.endswith(f": the loaded {variable} differs from what {modules.folder / file}.py contains now")


@pytest.mark.parametrize(
    "text",
    [
        "LR = 0.1\nfrom cfg import *\ndef use(): return LR\n",
        "LR = 0.1\nglobals().update(LR=0.2)\ndef use(): return LR\n",
        "LR = 0.1\nLR *= 2\ndef use(): return LR\n",
        "try:\n    from cfg import LR\nexcept ImportError:\n    LR = 0.1\ndef use(): return LR\n",
        "LR = 0.1\ndef set_rate(x):\n    global LR\n    LR = x\nset_rate(0.2)\ndef use(): return LR\n",
        "class N:\n    LR = 0.1\nN.LR = 0.2\ndef use(): return N.LR\n",
        "class B:\n    def __init_subclass__(cls): cls.tag = 't'\nclass C(B):\n    tag = 'c'\ndef use(): return C.tag\n",
        "from collections import Counter\nLR = Counter()\nLR['a'] += 1\ndef use(): return LR\n",
    ],
)
def test_a_constant_that_its_module_replaces_is_identified(modules: Any, text: str) -> None:
    assert modules.identify({"m": text, "cfg": "LR = 0.2\n"}).missing == ()


def test_a_constant_that_a_script_sets_is_not_identified(modules: Any) -> None:
    module = modules.load({"m": TEXT, "cfg": CFG})
    module.cfg.BATCH = 16
    (line,) = identify_code([("train function", module.use)]).missing
    assert "BATCH" in line
