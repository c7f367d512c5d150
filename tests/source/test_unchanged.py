"""Values that differ between processes, or that the code itself fills, are no changes of the code."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest

from ogive.source import find_differences, identify_code

EACH_PROCESS = """
import logging, os, random, sys, threading
from random import randint
import torch
import numpy as np
from numpy.random import normal, default_rng
import pydantic

class Settings(pydantic.BaseModel):
    lr: float = 0.1
    names: list[str] = pydantic.Field(default_factory=list)
    @pydantic.field_validator("lr")
    def check(cls, value): return value

class Loss(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(3))
        self.inner = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2))
        self.inner.register_forward_hook(print)
    def forward(self, x): return self.weight * x

def scaled(n):
    def inner(x): return x * n
    return inner

LOSS, LOCK, LOG = Loss(), threading.Lock(), logging.getLogger("a")
SETTINGS, ENVIRONMENT = Settings(), os.environ
CHOICES = {scaled(1), scaled(2), scaled(3), scaled(4)}
OPERATIONS = {lambda x: x, lambda x: -x, lambda x: 2 * x}

def use(x, loss=Loss()):
    return LOSS, LOCK, LOG, Settings, SETTINGS, ENVIRONMENT, CHOICES, OPERATIONS, normal, default_rng, randint, random.random

if __name__ == "__main__":
    junk = [object() for _ in range(int(sys.argv[1]))]
    for _ in range(int(sys.argv[1])):
        torch.nn.Linear(1, 1).register_forward_hook(print)
    import m
    from ogive.source import identify_code
    result = identify_code([("train function", m.use)])
    print(result.parts, result.missing)
"""


def test_an_identity_is_the_same_in_every_process(modules: Any) -> None:
    (modules.folder / "m.py").write_text(EACH_PROCESS)
    printed = [
        subprocess.run(
            [sys.executable, modules.folder / "m.py", number],
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
            env={**os.environ, "PYTHONHASHSEED": number},
        ).stdout
        for number in ("1", "5000")
    ]
    assert printed[0] == printed[1]
    assert printed[0].endswith(" ()\n")


@pytest.mark.parametrize(
    "text",
    [
        "DATA = None\ndef data():\n    global DATA\n    if DATA is None: DATA = (1, 2)\n    return DATA\n"
        "def use(x): return data()\n",
        "DATA = None\ndef use(x):\n    global DATA\n    if DATA is None:\n        DATA = (1, 2)\n    return DATA\n",
        "CALLS = 0\ndef use(x):\n    global CALLS\n    CALLS += 1\n",
        "class B:\n    n = 0\n    def __init__(self, width): B.n += 1\ndef use(x): return B(x)\n",
        "class B:\n    made = None\n    @classmethod\n    def get(cls):\n        if cls.made is None: cls.made = cls()\n"
        "        return cls.made\ndef use(x): return B.get()\n",
        "import cfg\ndef use(x): return cfg.data()\n",
        "def use(x): use.calls += 1\nuse.calls = 0\n",
        "import functools\nclass A:\n    @functools.cached_property\n    def k(self): return 3\na = A()\n"
        "def use(x): return a.k\n",
    ],
)
def test_values_that_code_fills_by_itself_are_no_changes(modules: Any, text: str) -> None:
    module = modules.load(
        {"m": text, "cfg": "D = None\ndef data():\n    global D\n    D = D or {1: 2}\n    return D\n"}
    )
    old = identify_code([("train function", module.use)])
    module.use(1)
    assert old.missing == ()
    assert identify_code([("train function", module.use)]) == old


@pytest.mark.parametrize(
    ("text", "before", "after"),
    [
        ("D = None\ndef data():\n    global D\n    D = (1, 2)\ndef use(): return D\n", "(1, 2)", "(1, 3)"),
        ("N = 0\ndef use():\n    global N\n    N += 1\n    return N\n", "N = 0", "N = 5"),
        ("class B:\n    n = 0\n    def __init__(self): B.n += 1\ndef use(): return B().n\n", "n = 0", "n = 5"),
    ],
)
def test_a_filled_value_is_identified_by_the_code_that_fills_it(
    modules: Any, text: str, before: str, after: str
) -> None:
    assert modules.identify(text).hash != modules.identify(text.replace(before, after)).hash


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (
            "LR = None\ndef set_rate(x):\n    global LR\n    LR = x\ndef use(x):\n    set_rate(x)\n    return LR\n",
            "m.LR",
        ),
        ("LR = None\ndef use(x):\n    global LR\n    if x: LR = 1\n    return LR\n", "m.LR"),
        ("LR = None\ndef use(x):\n    global LR\n    if not x: return\n    LR = 1\n    return LR\n", "m.LR"),
        ("LR = None\ndef use(x):\n    global LR\n    y = 2 * x\n    LR = y\n    return LR\n", "m.LR"),
        ("LR = 1\ndef use(x):\n    global LR\n    LR = 2\n    return LR\n", "m.LR"),
        ("class B:\n    table = {}\n    def add(self): self.table[1] = 2\ndef use(x): B().add()\n", "m.B.table"),
        ("class B:\n    rate = None\n    def set(self, r): type(self).rate = r\ndef use(x): B().set(x)\n", "m.B.rate"),
        (
            "class B:\n    rate = None\n    def __init__(self, r): self.r = r\n    def set(self): B.rate = self.r\n"
            "def use(x): B(x).set()\n",
            "m.B.rate",
        ),
        ("def use(x): use.seen.append(x)\nuse.seen = []\n", "m.use.seen"),
        ("from collections import deque\nSEEN = deque()\ndef use(x): SEEN.append(x)\n", "m.SEEN"),
        ("from collections import Counter\nSEEN = Counter()\ndef use(x): SEEN[x] += 1\n", "m.SEEN"),
        ("import numpy as np\nSEEN = np.zeros(3)\ndef use(x): SEEN[x] += 1\n", "m.SEEN"),
        ("import torch\nSEEN = torch.zeros(3)\ndef use(x): SEEN[x] += 1\n", "m.SEEN"),
        ("import random\nSEEN = random.Random(1)\ndef use(x): return SEEN.random()\n", "m.SEEN"),
        ("class A:\n    n = 0\n    def add(self): self.n += 1\nSEEN = A()\ndef use(x): SEEN.add()\n", "m.SEEN"),
        ("import cfg\ndef use(x): cfg.SEEN.add(x)\n", "cfg.SEEN"),
    ],
)
def test_other_values_that_code_changes_are_data(modules: Any, text: str, name: str) -> None:
    module = modules.load({"m": text, "cfg": "SEEN = set()\n"})
    old = identify_code([("train function", module.use)])
    module.use(1)
    module.use(1)
    new = identify_code([("train function", module.use)])
    assert old.missing == new.missing == ()
    assert find_differences(old.parts, new.parts) == [f"data {name}"]


def test_statistics_of_a_module_in_training_mode_are_no_change(modules: Any) -> None:
    module = modules.load("import torch\nN = torch.nn.BatchNorm1d(2)\ndef use(x): return N(torch.randn(4, 2))\n")
    old = identify_code([("train function", module.use)])
    module.use(1)
    assert identify_code([("train function", module.use)]) == old


def test_entering_a_decorator_is_no_change(modules: Any) -> None:
    module = modules.load(
        "import torch\n@torch.autocast('cpu')\n@torch.no_grad()\ndef use(x): return torch.eye(2) @ torch.eye(2)\n"
    )
    old = identify_code([("train function", module.use)])
    module.use(1)
    assert identify_code([("train function", module.use)]) == old


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("(i for i in 'abc')", "builtins:generator: it cannot be pickled"),
        ("chain(400)", "nested more than 150 levels deep"),
        ("nested(400)", "nested more than 150 levels deep"),
        ("Strange()", "examining it raises RuntimeError"),
        ("Odd()", "examining it raises ValueError: no"),
    ],
)
def test_values_that_cannot_be_examined_are_missing(modules: Any, value: str, reason: str) -> None:
    text = (
        "class N:\n    def __init__(self, n): self.n = n\n"
        "class Strange:\n    @property\n    def __dict__(self): raise RuntimeError(1)\n"
        "class Odd(dict):\n    def items(self): raise ValueError('no')\n"
        "def chain(n):\n    c = None\n    for i in range(n): c = N(c)\n    return c\n"
        "def nested(n):\n    c = []\n    for i in range(n): c = [c]\n    return c\n"
        f"VALUE = {value}\ndef use(x): return VALUE\n"
    )
    first, second = modules.identify(text), modules.identify(text)
    assert reason in first.missing[0]
    assert first.hash == second.hash


@pytest.mark.parametrize("value", ["cycle()", "Without()", "Unequal()"])
def test_unusual_objects_are_identified(modules: Any, value: str) -> None:
    text = (
        "class Without:\n    def __getattr__(self, name): raise RuntimeError(name)\n"
        "class Unequal:\n    def __eq__(self, other): raise ValueError\n    def __bool__(self): raise ValueError\n"
        "    __hash__ = object.__hash__\n"
        "def cycle():\n    found = [Unequal()]\n    found.append(found)\n    found[0].me = found\n    return found\n"
        f"VALUE = {value}\ndef use(x): return VALUE\n"
    )
    assert modules.identify(text).missing == ()


def test_an_installed_wrapper_that_refers_to_itself_is_followed_once(modules: Any) -> None:
    text = (
        "from torch.overrides import wrap_torch_function\ndef d(a): return (a,)\n"
        "@wrap_torch_function(d)\ndef f(x): return x * 1\ndef use(x): return f(x)\n"
    )
    identified = modules.identify(text)
    assert identified.missing == ()
    assert {"m.d", "m.f"} <= identified.parts.keys()
    assert (
        modules.identify(text.replace("x * 1", "x * 2")).hash
        != identified.hash
        != modules.identify(text.replace("(a,)", "(a, a)")).hash
    )
