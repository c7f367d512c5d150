"""`python -m ogive` is the command `ogive`."""

from ogive.cli.main import main

main()
