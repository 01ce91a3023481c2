"""The asyncio service: SQS FIFO → MongoDB. Drains the queue in batches through a small pool."""
