"""The status port: probes, metrics and the status page."""
