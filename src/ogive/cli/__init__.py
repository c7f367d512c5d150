"""The command `ogive`: one file a command; each parses, calls and prints. Help loads nothing but typer."""
