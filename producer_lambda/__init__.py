"""AWS Lambda: DynamoDB stream records → envelopes → SQS FIFO. Never talks to MongoDB."""
