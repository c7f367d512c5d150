"""Run the command `ogive` with `python -m ogive`."""

from ogive.cli.main import main

main()
