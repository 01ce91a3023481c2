"""What goes wrong in packaging, for a person to read."""


class PackageError(Exception):
    """The package cannot be built; the message says why, in one sentence."""
