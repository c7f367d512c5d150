"""What identifies the code of a user's functions and classes, and what of it has changed."""

from ogive.source.identity import CodeIdentity, differences, identity
from ogive.source.walk import short_hash

__all__ = ["CodeIdentity", "differences", "identity", "short_hash"]
