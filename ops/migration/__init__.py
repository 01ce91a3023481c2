"""A migration while the application keeps running: copy the items, compare both sides, repair, cut over."""
