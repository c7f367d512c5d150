"""The main job, end to end: search a digit classifier, train the best in full, compare it with a hand-drawn network.

    make demo
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from rich.console import Console

import ogive as og
from ogive.report import draw_text, live_view
