"""The vocabulary both sides speak: changes, versions, values, envelopes. Imports neither side."""
