"""What the writer reports about its work: observers, metrics, logs, health."""
