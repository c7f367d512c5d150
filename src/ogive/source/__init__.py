"""The identity of a user's functions and classes: a hash of their code, and which parts of it have changed."""

from ogive.source.identity import CodeIdentity, find_differences, identify_code

__all__ = ["CodeIdentity", "find_differences", "identify_code"]
