"""The servers of a stack, each a child process: MongoDB, the AWS emulators, DynamoDB Local."""
