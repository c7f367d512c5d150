"""What identifies the code of a user's functions and classes, and what of it has changed."""

from ogive.source.identity import CodeIdentity, differences, identity

__all__ = ["CodeIdentity", "differences", "identity"]
