"""What a run shows at the terminal, and how documents look there."""
