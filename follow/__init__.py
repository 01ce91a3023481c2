"""One process that reads streams itself, without Lambda and queue; see docs/decisions/0039-follow.md."""
