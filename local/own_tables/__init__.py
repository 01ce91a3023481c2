"""A person's own mapping on this machine: its tables, items for them, and what an edit changes."""
