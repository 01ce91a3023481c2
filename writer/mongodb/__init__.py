"""MongoDB: guarded writes, tombstones, and what its errors mean. The only place that knows the driver."""
