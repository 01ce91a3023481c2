"""Messages → plan → settlement. Pure."""
