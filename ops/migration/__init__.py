"""A migration while the application goes on: copy what is there, compare both sides, mend, and cut over."""
